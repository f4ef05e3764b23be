// Package bpf loads the eBPF programs and reads what they send.
package bpf

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
)

//go:generate make -C ../.. bpf

//go:embed tp_btf.bpf.o
var typedObject []byte

//go:embed raw_tp.bpf.o
var rawObject []byte

// Variant is one way to build and attach all programs.
type Variant string

// The variants, in the order in which they are tried.
const (
	Typed Variant = "tp_btf"
	Raw   Variant = "raw_tp"
)

func variants() []Variant {
	return []Variant{Typed, Raw}
}

func (v Variant) spec() (*ebpf.CollectionSpec, error) {
	object := typedObject
	if v == Raw {
		object = rawObject
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("the embedded %s object is damaged: %w", v, err)
	}
	return spec, nil
}

// objects parses each object once, however many hooks use it.
type objects struct {
	mutex  sync.Mutex
	parsed map[Variant]*ebpf.CollectionSpec
}

// spec gives a copy that is the caller's to change.
func (o *objects) spec(v Variant) (*ebpf.CollectionSpec, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.parsed[v] == nil {
		spec, err := v.spec()
		if err != nil {
			return nil, err
		}
		if o.parsed == nil {
			o.parsed = make(map[Variant]*ebpf.CollectionSpec)
		}
		o.parsed[v] = spec
	}
	return o.parsed[v].Copy(), nil
}
