package output

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a writer that can be held up.
type gate struct {
	mutex sync.Mutex
	got   bytes.Buffer
}

func (g *gate) Write(text []byte) (int, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.got.Write(text)
}

func TestAllLinesInOrder(t *testing.T) {
	var out gate
	q := NewQueue(&out)
	var want strings.Builder
	for n := range 1000 {
		line := strings.Repeat("x", n%100) + "\n"
		want.WriteString(line)
		if !q.Append([]byte(line)) {
			t.Fatal("no room")
		}
		if n%50 == 0 {
			q.Flush()
		}
	}
	if !q.Close(time.Second) || out.got.String() != want.String() {
		t.Errorf("%d bytes instead of %d", out.got.Len(), want.Len())
	}
}

func TestSlowOutputIsBounded(t *testing.T) {
	var out gate
	out.mutex.Lock()
	q := NewQueue(&out)
	line := bytes.Repeat([]byte("x"), 1<<16)
	taken := 0
	for range 1000 {
		if q.Append(line) {
			taken++
		}
	}
	// One buffer may be on its way already while another fills.
	if taken == 1000 || taken*len(line) > 2*QueueBytes {
		t.Errorf("%d MB were taken", taken*len(line)>>20)
	}
	if q.Close(10 * time.Millisecond) {
		t.Error("the end of writing did not wait for the output")
	}
	out.mutex.Unlock()
	<-q.done
	if out.got.Len() != taken*len(line) {
		t.Errorf("%d bytes were written instead of %d", out.got.Len(), taken*len(line))
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestErrorEndsTheQueue(t *testing.T) {
	q := NewQueue(broken{})
	q.Append([]byte("x\n"))
	q.Flush()
	<-q.done
	if q.Err() == nil || q.Append([]byte("y\n")) || q.Close(time.Second) {
		t.Error("the queue goes on after an error")
	}
}
