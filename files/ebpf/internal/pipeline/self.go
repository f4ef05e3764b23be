package pipeline

import (
	"bytes"

	"nanoagent.io/collector/internal/cgroup"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/lru"
)

// SelfTest is the subcommand of the marker that the collector starts itself.
const SelfTest = "selftest"

const (
	maxStart      = 8192
	maxStartBytes = 4 << 20
	maxOwn        = 256
)

type process struct {
	start uint64
	pid   uint32
}

// self is what the collector learns of itself from its own marker's event:
// in its container it cannot see its cgroup path or its number on the node.
type self struct {
	known   bool
	process process
	exe     []byte
	cgroup  []byte
	own     *lru.Map[process, bool] // probes and markers of its own that run
}

// starting handles events until the marker came: before that nobody can tell
// which node's they are, so they wait.
func (p *Pipeline) starting(record []byte, e *event.Event) {
	if len(p.early) < maxStart && p.earlyBytes < maxStartBytes {
		p.early = append(p.early, bytes.Clone(record))
		p.earlyBytes += len(record)
	} else {
		p.balance[e.Type].Dropped++
		p.earlyLost[e.Type]++
	}
	if p.isMarker(e) {
		p.learn(e)
	}
}

func (p *Pipeline) isMarker(e *event.Event) bool {
	if e.Type != event.Exec {
		return false
	}
	command, _ := e.Argument(1)
	nonce, _ := e.Argument(2)
	return string(command) == SelfTest && string(nonce) == p.nonce
}

// learn takes what the marker's event tells and goes through what waited.
func (p *Pipeline) learn(marker *event.Event) {
	path := string(event.AppendPath(nil, marker.Cgroup, marker.Has(event.CgroupTruncated)))
	p.self.known = true
	p.self.process = process{marker.ParentStart, marker.ParentPID}
	p.self.exe = bytes.Clone(marker.Exe)
	p.self.cgroup = bytes.Clone(marker.Cgroup)
	p.nodeRoot = cgroup.NodeRoot(path)
	var e event.Event
	for _, record := range p.early {
		if event.Decode(record, &e) == nil {
			p.sort(record, &e)
		}
	}
	p.early, p.earlyBytes = nil, 0
	close(p.Ready)
}

// isSelf reports whether an event is of the collector's own doing: the self
// test's marker, health checks in its own container, its connections.
func (p *Pipeline) isSelf(e *event.Event) bool {
	if e.Has(event.NoProcess) {
		return false
	}
	this := process{e.Start, e.PID}
	switch e.Type {
	case event.Fork:
		if (process{e.ParentStart, e.ParentPID}) == p.self.process {
			p.self.own.Put(this, true)
			return true
		}
	case event.Exec:
		if p.isProbe(e) {
			p.self.own.Put(this, true)
			return true
		}
	case event.Connect:
		// To the backend: a line about each would make another.
		return this == p.self.process
	case event.Exit:
		_, own := p.self.own.Get(this)
		return own
	}
	return false
}

func (p *Pipeline) isProbe(e *event.Event) bool {
	if !bytes.Equal(e.Exe, p.self.exe) || !bytes.Equal(e.Cgroup, p.self.cgroup) {
		return false
	}
	command, _ := e.Argument(1)
	return string(command) == "health" || string(command) == SelfTest
}
