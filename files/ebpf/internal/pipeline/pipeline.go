// Package pipeline takes events from the ring to standard output: it knows
// what is this node's and the collector's own, finds names, and keeps count.
package pipeline

import (
	"sync"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"nanoagent.io/collector/internal/backend"
	"nanoagent.io/collector/internal/bpf"
	"nanoagent.io/collector/internal/event"
	"nanoagent.io/collector/internal/identity"
	"nanoagent.io/collector/internal/lru"
	"nanoagent.io/collector/internal/output"
	"nanoagent.io/collector/internal/pods"
	"nanoagent.io/collector/internal/proof"
)

const (
	drainEvery = 20 * time.Millisecond
	countEvery = 100 * time.Millisecond
	missEvery  = time.Second
	lastDrains = 10
)

// Parts are what a pipeline works with.
type Parts struct {
	Sensor    *bpf.Sensor
	Format    *output.Format
	Queue     *output.Queue
	Backend   *backend.Sender // nil for none
	Directory *pods.Directory
	Proofs    *proof.Memory
	Events    map[event.Type]bool
	Nonce     string // of the self test's marker
}

// Pipeline is used by one goroutine, except for Status.
type Pipeline struct {
	Ready chan struct{} // closed when the self test's event came through

	sensor    *bpf.Sensor
	format    *output.Format
	queue     *output.Queue
	backend   *backend.Sender
	directory *pods.Directory
	proofs    *proof.Memory
	events    map[event.Type]bool
	nonce     string

	now      time.Time
	offset   int64
	podLogs  bool
	nodeRoot string
	self     self
	line     []byte

	early      [][]byte
	earlyBytes int
	earlyLost  [event.Types]uint64

	places     *lru.Map[string, *place]
	lastPlace  *place
	lastCgroup []byte
	waiting    []*place
	held       int
	heldBytes  int

	balance   [event.Types]output.Balance
	malformed uint64
	ownerless [event.Types]uint64
	unwritten map[string]uint64 // dropped since the last gap record said so
	unsent    backend.Counts    // dropped on the way to the backend, as far as a gap record said so
	counts    [event.Types][]bpf.Count
	reported  [event.Types][]uint64 // lost per processor, as far as written
	missed    map[string]uint64
	toldMiss  map[string]uint64
	countAt   time.Time
	missAt    time.Time

	mutex  sync.Mutex
	status Status
}

// Status is what the pipeline tells about itself.
type Status struct {
	Ready     bool
	Drained   time.Time // when the ring was last read to its end
	PodLogs   bool
	Balance   [event.Types]output.Balance
	LostByCPU [event.Types][]uint64
	Missed    map[string]uint64
	Ownerless [event.Types]uint64
	Malformed uint64
	Places    int
	Held      int
}

// New makes a pipeline that is ready to run.
func New(parts Parts) *Pipeline {
	p := &Pipeline{
		Ready:     make(chan struct{}),
		sensor:    parts.Sensor,
		format:    parts.Format,
		queue:     parts.Queue,
		backend:   parts.Backend,
		directory: parts.Directory,
		proofs:    parts.Proofs,
		events:    parts.Events,
		nonce:     parts.Nonce,
		places:    lru.New[string, *place](maxPlaces),
		unwritten: make(map[string]uint64),
		toldMiss:  make(map[string]uint64),
	}
	p.self.own = lru.New[process, bool](maxOwn)
	return p
}

// Run drains the ring until stop is closed, then detaches the programs,
// takes what is left and writes the balance.
func (p *Pipeline) Run(stop <-chan struct{}) error {
	var record ringbuf.Record
	p.tick()
	p.coverage()
	for {
		select {
		case <-stop:
			return p.finish(&record)
		default:
		}
		if err := p.sensor.Drain(p.now.Add(drainEvery), &record, p.handle); err != nil {
			return err
		}
		if err := p.queue.Err(); err != nil {
			return err
		}
		p.tick()
	}
}

// finish leaves nothing in the ring or waiting. A program that still runs on
// another processor may come late, so it looks again until the count is even.
func (p *Pipeline) finish(record *ringbuf.Record) error {
	p.sensor.Detach()
	for range lastDrains {
		if err := p.sensor.Drain(time.Now().Add(drainEvery), record, p.handle); err != nil {
			return err
		}
		p.countLost()
		if p.even() {
			break
		}
	}
	p.countAt, p.missAt = time.Time{}, time.Time{}
	p.releaseAll()
	p.tick()
	p.tell(p.balanceLine())
	return nil
}

// even reports whether each event that was emitted is received or lost.
func (p *Pipeline) even() bool {
	for _, kind := range event.All() {
		if b := &p.balance[kind]; b.Emitted != b.Received+b.Lost {
			return false
		}
	}
	return true
}

func (p *Pipeline) balanceLine() []byte {
	line := p.format.Begin(nil, "balance", time.Now().UnixNano())
	line = append(line, `,"events":`...)
	line = output.AppendBalance(line, &p.balance)
	line = append(line, `,"missed":`...)
	line = output.AppendCounts(line, p.missed)
	return p.format.End(line)
}

func (p *Pipeline) coverage() {
	p.tell(p.format.Coverage(nil, p.sensor.Coverage(), p.now.UnixNano()))
	p.queue.Flush()
}

// tick does what is due between two drains.
func (p *Pipeline) tick() {
	p.now = time.Now()
	// Taken anew each time, so that a step of the clock does no harm.
	if offset, err := identity.BootToUnix(); err == nil {
		p.offset = offset
	}
	p.releaseReady()
	p.tellDropped()
	p.tellEarly()
	p.queue.Flush()
	if p.now.Sub(p.countAt) >= countEvery || p.self.known != p.status.Ready {
		p.countAt = p.now
		p.countLost()
		p.publish()
	}
	if p.now.Sub(p.missAt) >= missEvery {
		p.missAt = p.now
		p.tellUnsent()
		p.podLogs = p.directory.Present()
		p.countMissed()
	}
}

func (p *Pipeline) handle(record []byte) {
	var e event.Event
	if err := event.Decode(record, &e); err != nil {
		p.malformed++
		return
	}
	p.balance[e.Type].Received++
	if p.self.known {
		p.sort(record, &e)
	} else {
		p.starting(record, &e)
	}
}

// sort decides what becomes of an event.
func (p *Pipeline) sort(record []byte, e *event.Event) {
	balance := &p.balance[e.Type]
	place := p.placeOf(e)
	if place == nil {
		p.ownerless[e.Type]++
	}
	switch {
	case place == nil && p.nodeRoot != "", place != nil && !place.mine:
		balance.OtherNode++
		return
	case p.isSelf(e):
		balance.Self++
		return
	}
	p.lookUp(place)
	p.remember(e, place)
	switch {
	case !p.events[e.Type]:
		balance.Unwanted++
	case place == nil:
		p.write(e, output.Where{})
	case p.waits(place):
		p.hold(place, record)
	default:
		p.write(e, place.where())
	}
}

// remember keeps markers for those who ask for their proof.
func (p *Pipeline) remember(e *event.Event, place *place) {
	if e.Type != event.Exec {
		return
	}
	if command, _ := e.Argument(1); string(command) != "prove" {
		return
	}
	nonce, ok := e.Argument(2)
	if !ok {
		return
	}
	seen := int64(identity.BootNow()-e.Time) / 1000
	line := p.format.Event(nil, e, place.where(), p.offset)
	p.proofs.Add(nonce, proof.Marker{Line: line[:len(line)-1], SeenAfterUS: seen})
}

func (p *Pipeline) write(e *event.Event, where output.Where) {
	p.line = p.format.Event(p.line[:0], e, where, p.offset)
	p.tellDropped()
	if p.backend != nil {
		p.backend.Append(e.Type, p.line)
	}
	if p.queue.Append(p.line) {
		p.balance[e.Type].Written++
		return
	}
	p.balance[e.Type].Dropped++
	p.unwritten[e.Type.String()]++
}

// tell writes a line that is no event, unless there is no room for it.
func (p *Pipeline) tell(line []byte) bool {
	if !p.queue.Append(line) {
		return false
	}
	if p.backend != nil {
		p.backend.Append(0, line)
	}
	return true
}
