package arp

import (
	"iter"
	"maps"
	"sync"
)

// MemTable is a Table in memory. It is safe for concurrent use.
type MemTable struct {
	mu sync.RWMutex
	m  map[Key]Binding
}

// NewMemTable returns an empty MemTable.
func NewMemTable() *MemTable { return &MemTable{m: make(map[Key]Binding)} }

// Get implements Table.
func (t *MemTable) Get(k Key) (Binding, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	b, ok := t.m[k]
	return b, ok
}

// Put implements Table.
func (t *MemTable) Put(c Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := Binding{MAC: c.MAC, Static: c.Op == OpPinned, Since: c.Time}
	if old, ok := t.m[c.Key]; ok && old.MAC == c.MAC {
		b.Since = old.Since
	}
	t.m[c.Key] = b
}

// Expire implements Table.
func (t *MemTable) Expire(c Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, ok := t.m[c.Key]; ok && (c.Old.IsZero() || c.Old == b.MAC) {
		delete(t.m, c.Key)
	}
}

// All implements Lister with a snapshot.
func (t *MemTable) All() iter.Seq2[Key, Binding] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.All(maps.Clone(t.m))
}
