package identity

import (
	"testing"
	"time"
)

func TestShorten(t *testing.T) {
	if got := shorten("0a5b7d6b-1111-2222-3333-444455556666\n"); got != "0a5b7d6b" {
		t.Errorf("%q", got)
	}
	if got := shorten(""); got != "" {
		t.Errorf("%q", got)
	}
}

func TestProcessIDsAreDistinct(t *testing.T) {
	boot := Boot("0a5b7d6b")
	if got := string(boot.AppendProcess(nil, 123, 45)); got != "0a5b7d6b-123-45" {
		t.Errorf("%q", got)
	}
	seen := make(map[string]bool)
	for _, start := range []uint64{1, 12, 123} {
		for _, pid := range []uint32{1, 12, 23, 312} {
			seen[string(boot.AppendProcess(nil, start, pid))] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d ids of 12 processes", len(seen))
	}
}

func TestClocksAgree(t *testing.T) {
	offset, err := BootToUnix()
	if err != nil {
		t.Fatal(err)
	}
	computed := time.Unix(0, int64(BootNow())+offset)
	if difference := time.Since(computed).Abs(); difference > time.Second {
		t.Errorf("off by %s", difference)
	}
}

func TestReadBoot(t *testing.T) {
	boot, err := ReadBoot()
	if err != nil || len(boot) != 8 {
		t.Errorf("%q, %v", boot, err)
	}
}
