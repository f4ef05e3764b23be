package pipeline

import (
	"maps"

	"nanoagent.io/collector/internal/event"
)

// countLost writes a gap record for each processor that found the ring full.
func (p *Pipeline) countLost() {
	counts, err := p.sensor.Counts()
	if err != nil {
		return
	}
	p.counts = counts
	for _, kind := range event.All() {
		emitted, lost := uint64(0), uint64(0)
		for _, count := range counts[kind] {
			emitted += count.Emitted
			lost += count.Lost
		}
		p.balance[kind].Emitted, p.balance[kind].Lost = emitted, lost
		if p.reported[kind] == nil {
			p.reported[kind] = make([]uint64, len(counts[kind]))
		}
	}
	for cpu := range counts[event.Exec] {
		p.tellLost(cpu)
	}
}

func (p *Pipeline) tellLost(cpu int) {
	lost := make(map[string]uint64)
	for _, kind := range event.All() {
		if n := p.counts[kind][cpu].Lost - p.reported[kind][cpu]; n > 0 {
			lost[kind.String()] = n
		}
	}
	if !p.tellGap("ring", cpu, lost) {
		return
	}
	for _, kind := range event.All() {
		p.reported[kind][cpu] = p.counts[kind][cpu].Lost
	}
}

// countMissed reports runs of programs that the kernel left out.
func (p *Pipeline) countMissed() {
	p.missed = p.sensor.Missed()
	lost := make(map[string]uint64)
	for hook, n := range p.missed {
		if more := n - p.toldMiss[hook]; more > 0 {
			lost[hook] = more
		}
	}
	if p.tellGap("hook", -1, lost) {
		maps.Copy(p.toldMiss, p.missed)
	}
}

// tellDropped reports lines that found no room on the way out, in the place
// where they are missing. The backend may well have them.
func (p *Pipeline) tellDropped() {
	if len(p.unwritten) > 0 && p.queue.Append(p.format.Gap(nil, "output", -1, p.unwritten, p.now.UnixNano())) {
		clear(p.unwritten)
	}
}

// tellUnsent reports events that the backend did not get.
func (p *Pipeline) tellUnsent() {
	if p.backend == nil {
		return
	}
	dropped := p.backend.Account().Lost()
	lost := make(map[string]uint64)
	for _, kind := range event.All() {
		if n := dropped[kind] - p.unsent[kind]; n > 0 {
			lost[kind.String()] = n
		}
	}
	if p.tellGap("backend", -1, lost) {
		p.unsent = dropped
	}
}

// tellEarly reports events that came before the self test, and were too many
// to wait for it.
func (p *Pipeline) tellEarly() {
	early := make(map[string]uint64)
	for _, kind := range event.All() {
		if p.earlyLost[kind] > 0 {
			early[kind.String()] = p.earlyLost[kind]
		}
	}
	if p.tellGap("start", -1, early) {
		clear(p.earlyLost[:])
	}
}

// tellGap writes a gap record. It reports false when there is nothing to
// tell or no room to tell it, and then has to be called again.
func (p *Pipeline) tellGap(where string, cpu int, lost map[string]uint64) bool {
	if len(lost) == 0 {
		return false
	}
	return p.tell(p.format.Gap(nil, where, cpu, lost, p.now.UnixNano()))
}

// publish makes the present state visible to other goroutines.
func (p *Pipeline) publish() {
	status := Status{
		Ready:     p.self.known,
		Drained:   p.now,
		PodLogs:   p.podLogs,
		Balance:   p.balance,
		Missed:    maps.Clone(p.missed),
		Ownerless: p.ownerless,
		Malformed: p.malformed,
		Places:    p.places.Len(),
		Held:      p.held,
	}
	for kind, cpus := range p.counts {
		for _, count := range cpus {
			status.LostByCPU[kind] = append(status.LostByCPU[kind], count.Lost)
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.status = status
}

// Status tells how things stood at the last tick.
func (p *Pipeline) Status() Status {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.status
}
