// Package stream writes what happens in the cluster as lines of JSON, while
// this monitor is the one that speaks, and remembers the latest of it while it
// is not.
package stream

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"nanoagent.io/monitor/internal/facts"
	"nanoagent.io/monitor/internal/watcher"
)

const (
	// Longer than it takes to notice that the other monitor is gone.
	remembered      = time.Minute
	mostRemembered  = 8192
	forgottenAtOnce = 1024
	// How long a line waits for its object's owner, which another watch brings.
	ownerWait = time.Second
	// Chains are short; this ends one that goes round.
	longestChain = 8

	timeFormat = "2006-01-02T15:04:05.000000000Z"
	dateFormat = "2006-01-02T15:04:05Z"
)

// Names are what every line bears.
type Names struct {
	Monitor string
	Cluster string
	Tags    map[string]string
}

// Stream is the sink of all watches.
type Stream struct {
	names Names
	fail  func(error)

	mu       sync.Mutex
	out      *bufio.Writer
	shelves  map[string]*shelf // by kind
	speaking bool
	missing  map[string]string
	memory   []heard
	lost     int
	lostAt   time.Time // of the newest
	waiting  map[types.UID]*queue

	counting sync.Mutex
	counts   Counts
}

type shelf struct {
	kind    *watcher.Kind
	filled  bool
	records map[types.UID]*watcher.Record
}

type heard struct {
	at   time.Time
	line Line
}

type queue struct {
	until time.Time
	lines []pending
}

type pending struct {
	at      time.Time
	change  string
	kind    *watcher.Kind
	record  *watcher.Record
	changed []string
}

// Counts are what metrics tell.
type Counts struct {
	Objects   map[string]int               // by kind
	Changes   map[string]map[string]uint64 // by kind and change
	Unchanged map[string]uint64            // by kind: nothing of it is told
	Written   uint64
	Speaking  bool
	Snapshots uint64
}

// New makes a stream that does not speak yet; fail is told when the output
// takes no more.
func New(out io.Writer, names Names, fail func(error)) *Stream {
	s := &Stream{
		names: names, fail: fail, out: bufio.NewWriterSize(out, 1<<16),
		shelves: map[string]*shelf{}, waiting: map[types.UID]*queue{},
		counts: Counts{Objects: map[string]int{}, Changes: map[string]map[string]uint64{}, Unchanged: map[string]uint64{}},
	}
	for i := range watcher.Kinds {
		kind := &watcher.Kinds[i]
		s.shelves[kind.Name] = &shelf{kind: kind, records: map[types.UID]*watcher.Record{}}
		s.counts.Objects[kind.Name] = 0
	}
	return s
}

// Replace takes all objects of a kind. The first time they are what the stream
// begins with; later the differences are what was missed meanwhile.
func (s *Stream) Replace(kind *watcher.Kind, records []*watcher.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	shelf := s.shelves[kind.Name]
	before := shelf.records
	first := !shelf.filled
	shelf.filled = true
	shelf.records = make(map[types.UID]*watcher.Record, len(records))
	for _, record := range records {
		shelf.records[record.UID] = record
	}
	for uid, record := range before {
		if _, there := shelf.records[uid]; !there && !kind.Transient {
			s.tell(Removed, kind, record, nil)
		}
	}
	for _, record := range records {
		old := before[record.UID]
		switch {
		case first && kind.Transient:
			s.forget(record)
		case first && s.speaking:
			s.tell(Present, kind, record, nil)
		case first:
		default:
			s.compare(kind, old, record)
		}
	}
	if first {
		s.adopt(kind)
	}
	s.arrived(records...)
	s.count(kind, len(shelf.records))
}

// adopt finds the chains that a kind completes, now that its objects are known. They are found before they are needed:
// an owner is gone before what it owns is.
func (s *Stream) adopt(kind *watcher.Kind) {
	for _, shelf := range s.shelves {
		for _, record := range shelf.records {
			if last := len(record.Owners) - 1; last >= 0 && record.Owners[last].Kind == kind.Name {
				record.Owners = nil
			}
			s.own(record)
		}
	}
}

// Set takes an object that is new or changed.
func (s *Stream) Set(kind *watcher.Kind, record *watcher.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	shelf := s.shelves[kind.Name]
	old := shelf.records[record.UID]
	shelf.records[record.UID] = record
	s.compare(kind, old, record)
	s.arrived(record)
	s.count(kind, len(shelf.records))
}

// Remove takes an object that is gone.
func (s *Stream) Remove(kind *watcher.Kind, record *watcher.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	shelf := s.shelves[kind.Name]
	if old := shelf.records[record.UID]; old != nil {
		inherit(record, old)
	}
	delete(shelf.records, record.UID)
	s.count(kind, len(shelf.records))
	if kind.Transient {
		return
	}
	// Its author is the last who changed it; who deleted it the API does not tell.
	record.Author = nil
	s.tell(Removed, kind, record, nil)
}

func (s *Stream) compare(kind *watcher.Kind, old, record *watcher.Record) {
	switch {
	case old == nil:
		s.tell(Added, kind, record, nil)
	case old.ResourceVersion == record.ResourceVersion:
		inherit(record, old)
		if kind.Transient {
			s.forget(record)
		}
	case kind.Transient:
		s.tell(Changed, kind, record, nil)
	default:
		inherit(record, old)
		changed := facts.Changed(old.Facts, record.Facts)
		if len(changed) == 0 {
			s.counting.Lock()
			s.counts.Unchanged[kind.Name]++
			s.counting.Unlock()
			return
		}
		s.tell(Changed, kind, record, changed)
	}
}

// inherit keeps the chain that was found for the same object with the same controller.
func inherit(record, old *watcher.Record) {
	before, now := old.Controller(), record.Controller()
	if before != nil && now != nil && before.UID == now.UID {
		record.Owners = old.Owners
	}
}

// forget lets go what is not needed of an object that is told once.
func (s *Stream) forget(record *watcher.Record) {
	record.Facts, record.Author = nil, nil
}

// tell writes or remembers a line, or has it wait until its object's owners are known.
func (s *Stream) tell(change string, kind *watcher.Kind, record *watcher.Record, changed []string) {
	line := pending{time.Now(), change, kind, record, changed}
	if controller := record.Controller(); controller != nil {
		if queue, there := s.waiting[controller.UID]; there {
			queue.lines = append(queue.lines, line)
			return
		}
		if unknown := s.own(record); unknown != "" {
			// Whoever waits for the same controller waits in the same queue, so that an object's lines keep their order.
			s.waiting[controller.UID] = &queue{until: line.at.Add(ownerWait), lines: []pending{line}}
			return
		}
	}
	s.say(line)
}

// own finds the chain of a record's controllers, and gives the one that is
// not known though it should be.
func (s *Stream) own(record *watcher.Record) (unknown types.UID) {
	if len(record.Owners) > 0 {
		return ""
	}
	var chain []watcher.Owner
	for at := record.Controller(); at != nil && len(chain) < longestChain; {
		chain = append(chain, watcher.Owner{Kind: at.Kind, Name: at.Name, UID: string(at.UID)})
		shelf, watched := s.shelves[at.Kind]
		if !watched || !shelf.filled || shelf.kind.Version.String() != at.APIVersion {
			break
		}
		owner, there := shelf.records[at.UID]
		if !there {
			return at.UID
		}
		if len(owner.Owners) > 0 {
			chain = append(chain, owner.Owners...)
			break
		}
		at = owner.Controller()
	}
	record.Owners = chain
	return ""
}

// arrived ends the wait of those whose controller has come.
func (s *Stream) arrived(records ...*watcher.Record) {
	if len(s.waiting) == 0 {
		return
	}
	for _, record := range records {
		if queue, there := s.waiting[record.UID]; there {
			if s.own(record) != "" {
				continue
			}
			delete(s.waiting, record.UID)
			s.release(queue)
		}
	}
}

// Tick ends the waits that have lasted long enough, and forgets what is old.
func (s *Stream) Tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	for uid, queue := range s.waiting {
		if now.After(queue.until) {
			delete(s.waiting, uid)
			s.release(queue)
		}
	}
	first, _ := slices.BinarySearchFunc(s.memory, now.Add(-remembered), func(h heard, at time.Time) int { return h.at.Compare(at) })
	s.memory = slices.Delete(s.memory, 0, first)
	if now.Sub(s.lostAt) > remembered {
		s.lost = 0
	}
}

func (s *Stream) release(queue *queue) {
	for _, line := range queue.lines {
		if s.own(line.record) != "" {
			// The owner never came: what the object itself says has to do.
			at := line.record.Controller()
			line.record.Owners = []watcher.Owner{{Kind: at.Kind, Name: at.Name, UID: string(at.UID)}}
		}
		s.say(line)
	}
}

func (s *Stream) say(what pending) {
	line := s.line(what)
	if what.kind.Transient {
		s.forget(what.record)
	}
	if what.change != Present {
		s.counting.Lock()
		if s.counts.Changes[what.kind.Name] == nil {
			s.counts.Changes[what.kind.Name] = map[string]uint64{}
		}
		s.counts.Changes[what.kind.Name][what.change]++
		s.counting.Unlock()
	}
	if s.speaking {
		s.write(line)
		return
	}
	if len(s.memory) == mostRemembered {
		s.lostAt = s.memory[forgottenAtOnce-1].at
		s.lost += forgottenAtOnce
		s.memory = slices.Delete(s.memory, 0, forgottenAtOnce)
	}
	s.memory = append(s.memory, heard{what.at, line})
}

func (s *Stream) line(what pending) Line {
	record := what.record
	line := Line{
		Type: "object", Time: what.at.UTC().Format(timeFormat), Cluster: s.names.Cluster, Tags: s.names.Tags,
		Change: what.change, APIVersion: what.kind.Version.String(), Kind: what.kind.Name,
		Namespace: record.Namespace, Name: record.Name, UID: string(record.UID), ResourceVersion: record.ResourceVersion,
		Owners: record.Owners, By: record.Author, Changed: what.changed, Facts: record.Facts,
	}
	if !record.CreationTimestamp.IsZero() {
		line.Created = record.CreationTimestamp.UTC().Format(dateFormat)
	}
	if last := len(record.Owners) - 1; last >= 0 {
		line.Workload = &record.Owners[last]
	}
	return line
}

// Speak begins the stream: a mark, what was heard since the other fell
// silent, and all objects that there are.
func (s *Stream) Speak(reason string, previous *Previous, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	for uid, queue := range s.waiting {
		delete(s.waiting, uid)
		s.release(queue)
	}
	replay := s.memory[:0:0]
	for _, past := range s.memory {
		if previous != nil && !past.at.Before(since) {
			replay = append(replay, past)
		}
	}
	begin := s.mark("snapshot")
	begin.Phase, begin.Reason, begin.Previous = "begin", reason, previous
	if previous != nil && !s.lostAt.Before(since) {
		begin.Lost = s.lost
	}
	begin.Watched, begin.Missing = s.watched(), s.missing
	count := len(replay)
	begin.Replayed = &count
	s.speaking, s.memory, s.lost = true, nil, 0
	s.write(begin)
	for _, past := range replay {
		past.line.Replayed = true
		s.write(past.line)
	}
	objects := map[string]int{}
	for i := range watcher.Kinds {
		kind := &watcher.Kinds[i]
		if kind.Transient {
			continue
		}
		shelf := s.shelves[kind.Name]
		for _, record := range byName(shelf.records) {
			s.own(record)
			s.write(s.line(pending{time.Now(), Present, kind, record, nil}))
		}
		if shelf.filled {
			objects[kind.Name] = len(shelf.records)
		}
	}
	end := s.mark("snapshot")
	end.Phase, end.Objects = "end", objects
	s.write(end)
	s.counting.Lock()
	s.counts.Speaking = true
	s.counts.Snapshots++
	s.counting.Unlock()
}

// Hush ends the stream with a mark that says why.
func (s *Stream) Hush(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	if !s.speaking {
		return
	}
	for uid, queue := range s.waiting {
		delete(s.waiting, uid)
		s.release(queue)
	}
	end := s.mark("standby")
	end.Reason = reason
	s.write(end)
	s.speaking = false
	s.counting.Lock()
	s.counts.Speaking = false
	s.counting.Unlock()
}

// Cover takes which kinds are not followed, and says so where that is new.
func (s *Stream) Cover(missing map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	if maps.Equal(missing, s.missing) {
		return
	}
	s.missing = missing
	if s.speaking {
		line := s.mark("coverage")
		line.Watched, line.Missing = s.watched(), missing
		s.write(line)
	}
}

func byName(records map[types.UID]*watcher.Record) []*watcher.Record {
	return slices.SortedFunc(maps.Values(records), func(a, b *watcher.Record) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func (s *Stream) watched() []string {
	var titles []string
	for i := range watcher.Kinds {
		title := watcher.Kinds[i].Title()
		if _, missing := s.missing[title]; !missing {
			titles = append(titles, title)
		}
	}
	return titles
}

func (s *Stream) mark(kind string) mark {
	return mark{
		Type: kind, Time: time.Now().UTC().Format(timeFormat),
		Cluster: s.names.Cluster, Tags: s.names.Tags, Monitor: s.names.Monitor,
	}
}

func (s *Stream) write(line any) {
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		s.fail(err)
		return
	}
	s.counting.Lock()
	s.counts.Written++
	s.counting.Unlock()
}

func (s *Stream) flush() {
	if err := s.out.Flush(); err != nil {
		s.fail(err)
	}
}

func (s *Stream) count(kind *watcher.Kind, objects int) {
	s.counting.Lock()
	s.counts.Objects[kind.Name] = objects
	s.counting.Unlock()
}

// Counts gives a copy of the numbers; it never waits for the output.
func (s *Stream) Counts() Counts {
	s.counting.Lock()
	defer s.counting.Unlock()
	copied := s.counts
	copied.Objects, copied.Unchanged = maps.Clone(s.counts.Objects), maps.Clone(s.counts.Unchanged)
	copied.Changes = map[string]map[string]uint64{}
	for kind, changes := range s.counts.Changes {
		copied.Changes[kind] = maps.Clone(changes)
	}
	return copied
}
