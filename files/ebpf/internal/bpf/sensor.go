package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"

	"nanoagent.io/collector/internal/event"
)

const (
	ringMap   = "ring"
	countsMap = "counts"

	drainBatch = 256
)

// Options say what to load.
type Options struct {
	RingBytes int
	Events    map[event.Type]bool
	Variants  []Variant // nil tries all, the better first
}

// Sensor is the set of attached programs with their ring.
type Sensor struct {
	ring     *ebpf.Map
	counts   *ebpf.Map
	reader   *ringbuf.Reader
	attached []*attached
	coverage []Coverage
	failures []error
	types    *btf.Cache
	objects  objects
}

// Count is what the kernel side tried to hand over, and what found no room.
type Count struct {
	Emitted uint64
	Lost    uint64
}

// Open loads and attaches each program on its own. A program that does not
// load costs its events only; without exec events nothing can be proved, so
// that is an error.
func Open(options Options) (*Sensor, error) {
	if err := checkKernel(); err != nil {
		return nil, err
	}
	sensor := &Sensor{types: btf.NewCache()}
	// What is known of the kernel's and the programs' types takes memory and is not needed again.
	defer func() { sensor.types, sensor.objects.parsed = nil, nil }()
	if err := sensor.open(options); err != nil {
		sensor.Close()
		return nil, err
	}
	return sensor, nil
}

func (s *Sensor) open(options Options) error {
	spec, err := s.objects.spec(Typed)
	if err != nil {
		return err
	}
	ringSpec := spec.Maps[ringMap]
	ringSpec.MaxEntries = uint32(options.RingBytes)
	if s.ring, err = ebpf.NewMap(ringSpec); err != nil {
		return explain("create the ring buffer", err)
	}
	if s.counts, err = ebpf.NewMap(spec.Maps[countsMap]); err != nil {
		return explain("create the counters", err)
	}
	if s.reader, err = ringbuf.NewReader(s.ring); err != nil {
		return explain("map the ring buffer", err)
	}
	among := options.Variants
	if among == nil {
		among = variants()
	}
	s.attachAll(among, options.Events)
	if !s.sees(event.Exec) {
		return explain("see processes start", s.failures[0])
	}
	return nil
}

// needed is true for exec always: the self test and proofs rest on it.
func (h hook) needed(wanted map[event.Type]bool) bool {
	for _, kind := range h.events {
		if kind == event.Exec || wanted[kind] {
			return true
		}
	}
	return false
}

func (s *Sensor) sees(kind event.Type) bool {
	return slices.ContainsFunc(s.attached, func(a *attached) bool { return slices.Contains(a.hook.events, kind) })
}

// Coverage tells for each type of event whether and how it is seen.
func (s *Sensor) Coverage() []Coverage {
	return s.coverage
}

// Drain hands records to handle until the deadline has passed, or Wake was
// called and the ring is empty. A record is valid during the call only.
func (s *Sensor) Drain(deadline time.Time, record *ringbuf.Record, handle func([]byte)) error {
	s.reader.SetDeadline(deadline)
	for n := 1; ; n++ {
		// In a storm the ring is never empty, and other work is due too.
		if n%drainBatch == 0 && time.Now().After(deadline) {
			return nil
		}
		err := s.reader.ReadInto(record)
		switch {
		case err == nil:
			handle(record.RawSample)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
			return nil
		default:
			return err
		}
	}
}

// Wake makes a waiting Drain read what is there and return.
func (s *Sensor) Wake() {
	// The reader can only be closed already, and then nobody waits.
	_ = s.reader.Flush()
}

// Counts reads the kernel's counters: for each type one entry per processor.
func (s *Sensor) Counts() ([event.Types][]Count, error) {
	var counts [event.Types][]Count
	for kind := event.Exec; kind < event.Types; kind++ {
		if err := s.counts.Lookup(uint32(kind), &counts[kind]); err != nil {
			return counts, fmt.Errorf("cannot read the counters: %w", err)
		}
	}
	return counts, nil
}

// Missed counts, by tracepoint, the runs that the kernel skipped because the
// program that makes the events was already running on that processor. What a
// preparing program misses shows in events without a process.
func (s *Sensor) Missed() map[string]uint64 {
	missed := make(map[string]uint64)
	for _, each := range s.attached {
		if stats, err := each.programs[0].Stats(); err == nil {
			missed[each.hook.tracepoint] = stats.RecursionMisses
		}
	}
	return missed
}

// Detach stops the programs; what they sent before can still be drained.
func (s *Sensor) Detach() {
	for _, each := range s.attached {
		each.detach()
	}
}

// Close gives everything back to the kernel.
func (s *Sensor) Close() {
	for _, each := range s.attached {
		each.close()
	}
	if s.reader != nil {
		s.reader.Close()
	}
	if s.ring != nil {
		s.ring.Close()
	}
	if s.counts != nil {
		s.counts.Close()
	}
}
