package output

import (
	"io"
	"sync"
	"time"
)

// QueueBytes is how much output waits for a slow reader before lines are dropped.
const QueueBytes = 4 << 20

const writeAt = 64 << 10

// Queue lets the pipeline go on while standard output is slow. It is bounded:
// Append refuses what has no room, and the caller counts that.
type Queue struct {
	mutex   sync.Mutex
	filled  sync.Cond
	waiting []byte
	spare   []byte
	writing bool
	closed  bool
	err     error
	done    chan struct{}
}

// NewQueue starts writing to out.
func NewQueue(out io.Writer) *Queue {
	q := &Queue{done: make(chan struct{})}
	q.filled.L = &q.mutex
	go q.write(out)
	return q
}

// Append adds a line, or reports that there is no room for it.
func (q *Queue) Append(line []byte) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.waiting)+len(line) > QueueBytes || q.closed {
		return false
	}
	q.waiting = append(q.waiting, line...)
	if len(q.waiting) >= writeAt && !q.writing {
		q.filled.Signal()
	}
	return true
}

// Flush has what waits written out, without waiting for that.
func (q *Queue) Flush() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.waiting) > 0 {
		q.filled.Signal()
	}
}

// Err is the error that ended the writing, if one did.
func (q *Queue) Err() error {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.err
}

// Close writes what waits, for at most the given time, and reports whether
// all of it went out.
func (q *Queue) Close(limit time.Duration) bool {
	q.mutex.Lock()
	q.closed = true
	q.mutex.Unlock()
	q.filled.Signal()
	select {
	case <-q.done:
		return q.Err() == nil
	case <-time.After(limit):
		return false
	}
}

func (q *Queue) write(out io.Writer) {
	defer close(q.done)
	for {
		batch, ok := q.next()
		if !ok {
			return
		}
		if _, err := out.Write(batch); err != nil {
			q.fail(err)
			return
		}
	}
}

// next waits for lines and swaps them for the buffer that was written last.
func (q *Queue) next() ([]byte, bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.writing = false
	for len(q.waiting) == 0 {
		if q.closed {
			return nil, false
		}
		q.filled.Wait()
	}
	q.writing = true
	batch := q.waiting
	q.waiting, q.spare = q.spare[:0], batch
	if cap(q.waiting) > writeAt && len(batch) < writeAt {
		// A storm is over: give its memory back.
		q.waiting = nil
	}
	return batch, true
}

func (q *Queue) fail(err error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.err = err
	q.closed = true
}
