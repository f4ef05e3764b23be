package proof

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

func TestWaitGivesWhatComesLater(t *testing.T) {
	memory := NewMemory()
	time.AfterFunc(10*time.Millisecond, func() {
		memory.Add([]byte("another"), Marker{})
		memory.Add([]byte("nonce"), Marker{SeenAfterUS: 5})
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if marker, ok := memory.Wait(ctx, sha256.Sum256([]byte("nonce"))); !ok || marker.SeenAfterUS != 5 {
		t.Errorf("%+v, %v", marker, ok)
	}
}

func TestWaitEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, ok := NewMemory().Wait(ctx, sha256.Sum256([]byte("nonce"))); ok {
		t.Error("a marker that never was")
	}
}

func TestOnlyTheLatestAreRemembered(t *testing.T) {
	memory := NewMemory()
	for n := range 3 * Remembered {
		memory.Add(fmt.Append(nil, n), Marker{})
		memory.Add([]byte("again and again"), Marker{SeenAfterUS: int64(n)})
	}
	if len(memory.markers) > Remembered {
		t.Errorf("%d are remembered", len(memory.markers))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok := memory.Wait(ctx, sha256.Sum256([]byte("0"))); ok {
		t.Error("the first is still there")
	}
	if _, ok := memory.Wait(ctx, sha256.Sum256(fmt.Append(nil, 3*Remembered-1))); !ok {
		t.Error("the last is gone")
	}
}
