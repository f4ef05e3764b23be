// Package lru is a map of bounded size that forgets what was not used longest.
package lru

import "container/list"

// Map holds at most a fixed number of entries. It is not safe for concurrent use.
type Map[K comparable, V any] struct {
	limit   int
	order   *list.List
	entries map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New makes an empty map.
func New[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{limit: limit, order: list.New(), entries: make(map[K]*list.Element)}
}

// Get finds a value and marks it as used.
func (m *Map[K, V]) Get(key K) (V, bool) {
	if element, ok := m.entries[key]; ok {
		m.order.MoveToFront(element)
		return element.Value.(*entry[K, V]).value, true
	}
	var none V
	return none, false
}

// Put sets a value, at the cost of the entry that was not used longest.
func (m *Map[K, V]) Put(key K, value V) {
	if element, ok := m.entries[key]; ok {
		element.Value.(*entry[K, V]).value = value
		m.order.MoveToFront(element)
		return
	}
	if m.order.Len() >= m.limit {
		oldest := m.order.Back()
		delete(m.entries, m.order.Remove(oldest).(*entry[K, V]).key)
	}
	m.entries[key] = m.order.PushFront(&entry[K, V]{key, value})
}

// Len is the number of entries.
func (m *Map[K, V]) Len() int {
	return m.order.Len()
}
