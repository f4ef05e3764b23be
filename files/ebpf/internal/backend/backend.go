// Package backend sends lines to a server: in compressed batches, again
// where that fails, and with count of what had to be dropped.
package backend

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"nanoagent.io/collector/internal/event"
)

const (
	// A batch goes when it has so many bytes, or its first line has waited so long.
	batchBytes = 256 << 10
	batchAfter = time.Second
	// What waits: lines that are not packed yet, and batches that are, which are
	// ten times smaller. Lines that find no room are dropped.
	linesLimit  = 1 << 20
	packedLimit = 2 << 20
)

// Why lines are dropped.
const (
	Full    = "full"    // no room, since the server is away or too slow
	Refused = "refused" // the server does not want what is in the batch
	Stopped = "stopped" // not acknowledged when the collector had to stop
)

// Causes are all reasons for dropping, in alphabetical order.
var Causes = []string{Full, Refused, Stopped}

// Counts are numbers of lines by the type of their event; 0 stands for lines
// that are no events, such as gaps.
type Counts [event.Types]uint64

// KindName is what the counts call an index of theirs.
func KindName(kind int) string {
	if kind == 0 {
		return "record"
	}
	return event.Type(kind).String()
}

func (c *Counts) add(other *Counts) {
	for kind, n := range other {
		c[kind] += n
	}
}

// Sum is the number of all lines.
func (c Counts) Sum() (sum uint64) {
	for _, n := range c {
		sum += n
	}
	return sum
}

// Account says what became of all lines: given are as many as are sent,
// dropped and waiting.
type Account struct {
	Stream  string
	Given   Counts
	Sent    Counts // acknowledged by the server
	Dropped map[string]Counts
	Waiting Counts
	Bytes   int // that wait, as they are held
	Batches uint64
	Retries uint64
	Failure string // why the latest attempt failed; empty when it did not
}

// Lost are all dropped lines.
func (a Account) Lost() (lost Counts) {
	for _, counts := range a.Dropped {
		lost.add(&counts)
	}
	return lost
}

// Options say where to and how.
type Options struct {
	URL       string
	TokenFile string // its content goes along as a bearer token; empty for none
	Transport *http.Transport
	Version   string
	// Header makes the line that a batch begins with.
	Header func(stream string, first, lines uint64) []byte
	// Warn is called when sending begins to fail, and when it works again.
	Warn func(text string)
}

// Sender takes lines from one goroutine and sends them from its own.
type Sender struct {
	options Options
	stream  string
	pace    pace

	mutex   sync.Mutex
	changed sync.Cond
	lines   []byte // not packed yet
	counts  Counts // of lines
	first   uint64 // number of the first of lines
	next    uint64
	deaf    bool // lines were dropped after those that wait: no other may follow, so that numbers in a batch have no gap
	batches []*batch
	size    int // of the batches
	packed  bool
	closed  bool
	account Account

	began   chan struct{}
	enough  chan struct{}
	closing chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}
}

type batch struct {
	body   []byte
	first  uint64
	counts Counts
}

// New starts a sender whose stream of lines is numbered from 1.
func New(options Options) *Sender { return start(options, usualPace) }

func start(options Options, pace pace) *Sender {
	s := &Sender{
		options: options, stream: rand.Text(), pace: pace, next: 1,
		began: make(chan struct{}, 1), enough: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	s.changed.L = &s.mutex
	s.account.Stream = s.stream
	s.account.Dropped = make(map[string]Counts)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.pack()
	go s.send()
	return s
}

// Append takes a line of an event of some type, 0 for other lines, or
// reports that it had to drop it.
func (s *Sender) Append(kind event.Type, line []byte) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	number := s.next
	s.next++
	s.account.Given[kind]++
	if s.closed || s.deaf || len(s.lines)+len(line) > linesLimit {
		s.deaf = true
		dropped := s.account.Dropped[Full]
		dropped[kind]++
		s.account.Dropped[Full] = dropped
		return false
	}
	if len(s.lines) == 0 {
		s.first = number
		signal(s.began)
	}
	s.lines = append(s.lines, line...)
	s.counts[kind]++
	if len(s.lines) >= batchBytes {
		signal(s.enough)
	}
	return true
}

// Account tells how things stand.
func (s *Sender) Account() Account {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	account := s.account
	account.Dropped = make(map[string]Counts, len(Causes))
	for cause, counts := range s.account.Dropped {
		account.Dropped[cause] = counts
	}
	lost := account.Lost()
	for kind := range account.Waiting {
		account.Waiting[kind] = account.Given[kind] - account.Sent[kind] - lost[kind]
	}
	account.Bytes = s.size + len(s.lines)
	return account
}

// Close sends what waits, for at most the given time, and counts the rest as
// dropped. Nothing may be appended any more.
func (s *Sender) Close(limit time.Duration) {
	s.mutex.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mutex.Unlock()
	close(s.closing)
	late := time.AfterFunc(limit, s.cancel)
	<-s.done
	late.Stop()
	s.cancel()
	s.options.Transport.CloseIdleConnections()
}

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// pack turns lines into batches, as long as there is room for those.
func (s *Sender) pack() {
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	var spare []byte
	for !s.over() {
		select {
		case <-s.began:
		case <-s.closing:
		}
		select {
		case <-s.enough:
		case <-time.After(s.pace.batch):
		case <-s.closing:
		}
		if lines, next := s.take(spare); next != nil {
			s.fill(zip, next, lines)
			spare = lines
		}
		if cap(spare) > batchBytes {
			// A storm is over: give its memory back.
			spare = nil
		}
	}
}

// over reports, once closed, that all lines are packed.
func (s *Sender) over() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.packed = s.closed && len(s.lines) == 0
	if s.packed {
		s.changed.Broadcast()
	}
	return s.packed
}

// take gives the lines that wait as soon as there is room for their batch.
func (s *Sender) take(spare []byte) ([]byte, *batch) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.size >= packedLimit && !s.closed {
		s.changed.Wait()
	}
	if len(s.lines) == 0 {
		return nil, nil
	}
	lines, next := s.lines, &batch{first: s.first, counts: s.counts}
	s.lines, s.counts, s.deaf = spare[:0], Counts{}, false
	return lines, next
}

func (s *Sender) fill(zip *gzip.Writer, next *batch, lines []byte) {
	var body bytes.Buffer
	zip.Reset(&body)
	// Writes to a buffer do not fail.
	_, _ = zip.Write(s.options.Header(s.stream, next.first, next.counts.Sum()))
	_, _ = zip.Write(lines)
	_ = zip.Close()
	next.body = body.Bytes()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.batches = append(s.batches, next)
	s.size += len(next.body)
	s.changed.Broadcast()
}

// send delivers one batch after the other.
func (s *Sender) send() {
	defer close(s.done)
	for {
		first := s.front()
		if first == nil {
			return
		}
		cause := s.deliver(first)
		s.mutex.Lock()
		if cause == "" {
			s.account.Sent.add(&first.counts)
			s.account.Batches++
		} else {
			dropped := s.account.Dropped[cause]
			dropped.add(&first.counts)
			s.account.Dropped[cause] = dropped
		}
		s.batches[0] = nil
		s.batches = s.batches[1:]
		s.size -= len(first.body)
		s.changed.Broadcast()
		s.mutex.Unlock()
	}
}

// front waits for the oldest batch; nil means that there will be none.
func (s *Sender) front() *batch {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for len(s.batches) == 0 {
		if s.packed {
			return nil
		}
		s.changed.Wait()
	}
	return s.batches[0]
}
