package pipeline

import (
	"bytes"
	"time"

	"nanoagent.io/collector/internal/cgroup"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/output"
	"nanoagent.io/collector/internal/pods"
)

const (
	// A container's log link, which has its names, appears when the kubelet
	// hears that the container has started, on a busy node more than a second
	// after the runtime's first process in it: so long its events wait.
	holdFor     = 2 * time.Second
	rereadEvery = 100 * time.Millisecond
	// After that the names are looked for again, ever less often.
	retryFirst = time.Second
	retryEvery = 5 * time.Second

	maxPlaces    = 4096
	maxHeld      = 4096
	maxHeldBytes = 4 << 20
)

// place is a cgroup: whose it is, and the events that wait for its names.
type place struct {
	cgroup.Place
	mine      bool
	names     pods.Names
	complete  bool
	firstSeen time.Time
	retryAt   time.Time
	held      [][]byte
}

func (p *place) where() output.Where {
	return output.Where{Container: p.Container, PodUID: p.PodUID, Names: p.names}
}

// placeOf finds the place of an event; nil when the event does not tell.
func (p *Pipeline) placeOf(e *event.Event) *place {
	if e.Has(event.NoProcess) {
		return nil
	}
	if p.lastPlace != nil && bytes.Equal(p.lastCgroup, e.Cgroup) {
		return p.lastPlace
	}
	key := string(e.Cgroup)
	found, ok := p.places.Get(key)
	if !ok {
		found = p.newPlace(e)
		p.places.Put(key, found)
	}
	p.lastCgroup, p.lastPlace = append(p.lastCgroup[:0], e.Cgroup...), found
	return found
}

func (p *Pipeline) newPlace(e *event.Event) *place {
	cut := e.Has(event.CgroupTruncated)
	path := string(event.AppendPath(nil, e.Cgroup, cut))
	return &place{
		Place: cgroup.Parse(path),
		// What stands in front of a cut path is not known; it is kept
		// rather than lost.
		mine:      cut || cgroup.Below(path, p.nodeRoot),
		firstSeen: p.now,
	}
}

// lookUp finds the names of a place that has none, unless that was tried of late.
func (p *Pipeline) lookUp(place *place) {
	if place == nil || place.named() || !p.podLogs {
		return
	}
	young := p.young(place)
	if young || !p.now.Before(place.retryAt) {
		p.resolve(place, young)
	}
}

// waits decides whether an event has to wait for the names of its place.
func (p *Pipeline) waits(place *place) bool {
	return len(place.held) > 0 || p.podLogs && p.young(place) && !place.named()
}

// named reports whether there is nothing more to find out about a place.
func (p *place) named() bool {
	return p.complete || p.PodUID == ""
}

func (p *Pipeline) young(place *place) bool {
	return p.now.Sub(place.firstSeen) < holdFor
}

func (p *Pipeline) resolve(place *place, young bool) {
	interval := rereadEvery
	if !young {
		interval = retryFirst
		place.retryAt = p.now.Add(min(max(p.now.Sub(place.firstSeen)/2, retryFirst), retryEvery))
	}
	p.directory.Refresh(p.now, interval)
	place.names, place.complete = p.directory.Lookup(place.Container, place.PodUID)
}

func (p *Pipeline) hold(place *place, record []byte) {
	if len(place.held) == 0 {
		p.waiting = append(p.waiting, place)
	}
	place.held = append(place.held, bytes.Clone(record))
	p.held++
	p.heldBytes += len(record)
	if p.held > maxHeld || p.heldBytes > maxHeldBytes {
		p.releaseAll()
	}
}

// releaseReady writes the events of places that have their names by now, or
// have waited long enough.
func (p *Pipeline) releaseReady() {
	still := p.waiting[:0]
	for _, place := range p.waiting {
		p.resolve(place, true)
		if place.complete || !p.young(place) {
			p.release(place)
		} else {
			still = append(still, place)
		}
	}
	clear(p.waiting[len(still):])
	p.waiting = still
}

func (p *Pipeline) releaseAll() {
	for _, place := range p.waiting {
		p.release(place)
	}
	clear(p.waiting)
	p.waiting = p.waiting[:0]
}

func (p *Pipeline) release(place *place) {
	var e event.Event
	for _, record := range place.held {
		p.held--
		p.heldBytes -= len(record)
		// The record was decoded once before, when it came.
		if event.Decode(record, &e) == nil {
			p.write(&e, place.where())
		}
	}
	place.held = nil
}
