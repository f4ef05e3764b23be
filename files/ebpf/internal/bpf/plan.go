package bpf

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"nanoagent.io/collector/internal/event"
)

// hook is a tracepoint with the programs on it, the same in all variants. The
// first program makes the events, others only prepare them.
type hook struct {
	tracepoint string
	programs   []string
	events     []event.Type
}

var hooks = []hook{
	{"sched_process_exec", []string{"on_exec"}, []event.Type{event.Exec}},
	{"sched_process_fork", []string{"on_fork"}, []event.Type{event.Fork}},
	{"sched_process_exit", []string{"on_exit"}, []event.Type{event.Exit}},
	{"inet_sock_set_state", []string{"on_socket_answered", "on_socket_asked"}, []event.Type{event.Connect, event.Accept}},
}

// Attempt is a hook that was tried in vain.
type Attempt struct {
	Hook string `json:"hook"`
	Why  string `json:"why"`
}

// Coverage says of one type of event by which hook it is seen, or why not.
type Coverage struct {
	Event event.Type
	Seen  bool
	Hook  string
	Tried []Attempt
}

const notWanted = "not among the configured events"

// attached is a hook at work.
type attached struct {
	hook     hook
	programs []*ebpf.Program
	links    []link.Link
}

func (a *attached) detach() {
	for _, each := range a.links {
		each.Close()
	}
}

func (a *attached) close() {
	a.detach()
	for _, each := range a.programs {
		each.Close()
	}
}

// outcome is what came of a hook: what is attached, or nil, and what failed.
type outcome struct {
	attached *attached
	coverage Coverage
	failures []error
}

// attachAll attaches each hook that is needed, all at the same time: most of
// the start is spent in the kernel's verifier, by one program above all.
func (s *Sensor) attachAll(among []Variant, wanted map[event.Type]bool) {
	outcomes := make([]outcome, len(hooks))
	var group sync.WaitGroup
	for i, hook := range hooks {
		if hook.needed(wanted) {
			group.Go(func() { outcomes[i] = s.attach(hook, among, wanted) })
		}
	}
	group.Wait()
	for i, outcome := range outcomes {
		if outcome.attached != nil {
			s.attached = append(s.attached, outcome.attached)
		}
		s.failures = append(s.failures, outcome.failures...)
		s.cover(hooks[i], wanted, outcome.coverage)
	}
}

// attach tries the hook in each variant and keeps the first that works.
func (s *Sensor) attach(hook hook, among []Variant, wanted map[event.Type]bool) outcome {
	var result outcome
	for _, variant := range among {
		name := string(variant) + "/" + hook.tracepoint
		done, err := s.attachVariant(hook, variant, wanted)
		if err == nil {
			result.attached = done
			result.coverage.Seen, result.coverage.Hook = true, name
			break
		}
		result.coverage.Tried = append(result.coverage.Tried, Attempt{Hook: name, Why: brief(err)})
		result.failures = append(result.failures, err)
	}
	return result
}

func (s *Sensor) cover(hook hook, wanted map[event.Type]bool, coverage Coverage) {
	for _, kind := range hook.events {
		one := coverage
		one.Event = kind
		if !wanted[kind] {
			one = Coverage{Event: kind, Tried: []Attempt{{Hook: hook.tracepoint, Why: notWanted}}}
		}
		s.coverage = append(s.coverage, one)
	}
}

func (s *Sensor) attachVariant(hook hook, variant Variant, wanted map[event.Type]bool) (*attached, error) {
	spec, err := s.objects.spec(variant)
	if err != nil {
		return nil, err
	}
	var mask uint32
	for kind := range wanted {
		mask |= 1 << kind
	}
	if err := spec.Variables["wanted"].Set(mask); err != nil {
		return nil, err
	}
	reduce(spec, hook.programs)
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: s.shared(spec), Cache: s.types})
	if err != nil {
		return nil, err
	}
	defer collection.Close()
	done := &attached{hook: hook}
	for _, name := range hook.programs {
		program := collection.DetachProgram(name)
		done.programs = append(done.programs, program)
		joint, err := attachProgram(program, variant, hook.tracepoint)
		if err != nil {
			done.close()
			return nil, fmt.Errorf("attach: %w", err)
		}
		done.links = append(done.links, joint)
	}
	return done, nil
}

func attachProgram(program *ebpf.Program, variant Variant, tracepoint string) (link.Link, error) {
	if variant == Typed {
		return link.AttachTracing(link.TracingOptions{Program: program})
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: program})
}

// reduce leaves some programs in the spec, and the maps that they use.
func reduce(spec *ebpf.CollectionSpec, programs []string) {
	used := make(map[string]bool)
	for name, program := range spec.Programs {
		if !slices.Contains(programs, name) {
			delete(spec.Programs, name)
			continue
		}
		for _, instruction := range program.Instructions {
			if instruction.IsLoadFromMap() {
				used[instruction.Reference()] = true
			}
		}
	}
	for name := range spec.Maps {
		if !used[name] {
			delete(spec.Maps, name)
		}
	}
	for name, variable := range spec.Variables {
		if !used[variable.SectionName] {
			delete(spec.Variables, name)
		}
	}
}

// shared are the maps of the sensor that the spec uses too, with their size.
func (s *Sensor) shared(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	maps := make(map[string]*ebpf.Map)
	for name, shared := range map[string]*ebpf.Map{ringMap: s.ring, countsMap: s.counts} {
		if its, ok := spec.Maps[name]; ok {
			its.MaxEntries = shared.MaxEntries()
			maps[name] = shared
		}
	}
	return maps
}

// brief cuts a verifier's log down to one line.
func brief(err error) string {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) && len(verifier.Log) > 0 {
		return fmt.Sprintf("%v: %s", verifier.Cause, verifier.Log[len(verifier.Log)-1])
	}
	return err.Error()
}
