// Package bpf loads the eBPF programs and reads what they send.
package bpf

import (
	"bytes"
	_ "embed"
	"fmt"

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
