package lru

import "testing"

func TestOldestMakesRoom(t *testing.T) {
	m := New[string, int](2)
	m.Put("a", 1)
	m.Put("b", 2)
	m.Get("a")
	m.Put("c", 3)
	if _, ok := m.Get("b"); ok || m.Len() != 2 {
		t.Errorf("b is still there among %d", m.Len())
	}
	for key, want := range map[string]int{"a": 1, "c": 3} {
		if got, ok := m.Get(key); !ok || got != want {
			t.Errorf("%s is %d, %v", key, got, ok)
		}
	}
}

func TestPutAgainReplaces(t *testing.T) {
	m := New[string, int](2)
	m.Put("a", 1)
	m.Put("a", 2)
	if got, _ := m.Get("a"); got != 2 || m.Len() != 1 {
		t.Errorf("%d among %d", got, m.Len())
	}
}
