// Package proof is how a marker process shows that its own start was seen:
// the collector remembers markers, the marker asks by a hash of its nonce.
package proof

import (
	"context"
	"crypto/sha256"
	"sync"
)

// Remembered is how many of the latest markers the collector can answer for.
const Remembered = 64

// Marker is the exec event of a marker process.
type Marker struct {
	Line        []byte // the event as it is written, without the newline
	SeenAfterUS int64  // from the kernel's time of the event to its decoding
}

// Memory holds the latest markers by the hash of their nonce.
type Memory struct {
	mutex   sync.Mutex
	order   [Remembered][sha256.Size]byte
	next    int
	markers map[[sha256.Size]byte]Marker
	changed chan struct{}
}

// NewMemory makes an empty memory.
func NewMemory() *Memory {
	return &Memory{markers: make(map[[sha256.Size]byte]Marker), changed: make(chan struct{})}
}

// Add remembers a marker, and wakes who waits for it.
func (m *Memory) Add(nonce []byte, marker Marker) {
	sum := sha256.Sum256(nonce)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if _, again := m.markers[sum]; !again {
		delete(m.markers, m.order[m.next])
		m.order[m.next] = sum
		m.next = (m.next + 1) % Remembered
	}
	m.markers[sum] = marker
	close(m.changed)
	m.changed = make(chan struct{})
}

// Wait gives the marker with that hash as soon as it was seen.
func (m *Memory) Wait(ctx context.Context, sum [sha256.Size]byte) (Marker, bool) {
	for {
		m.mutex.Lock()
		marker, ok := m.markers[sum]
		changed := m.changed
		m.mutex.Unlock()
		if ok {
			return marker, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Marker{}, false
		}
	}
}
