package arp

import (
	"iter"
	"maps"
	"sync"
)

// DefaultTableLimit is how many bindings a MemTable keeps by default.
const DefaultTableLimit = 16384

// MemTable is a Table in memory. It is safe for concurrent use.
type MemTable struct {
	mu    sync.RWMutex
	limit int
	m     map[Key]Binding
	order []Key // the dynamic ones as they came; circular from next once full
	next  int
}

// NewMemTable returns an empty MemTable for DefaultTableLimit dynamic bindings.
// Beyond them the oldest is forgotten, which costs nothing while the cache of a
// Service holds it. Static ones do not count and stay.
func NewMemTable() *MemTable { return NewMemTableSize(DefaultTableLimit) }

// NewMemTableSize returns an empty MemTable for that many dynamic bindings, one
// at least.
func NewMemTableSize(limit int) *MemTable {
	return &MemTable{m: make(map[Key]Binding), limit: max(limit, 1)}
}

// Get implements Table.
func (t *MemTable) Get(k Key) (Binding, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	b, ok := t.m[k]
	return b, ok
}

// Len returns how many bindings there are.
func (t *MemTable) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.m)
}

// Put implements Table.
func (t *MemTable) Put(c Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := Binding{MAC: c.MAC, Static: c.Op == OpPinned, Since: c.Time}
	old, ok := t.m[c.Key]
	if ok && old.MAC == c.MAC {
		b.Since = old.Since
	}
	if !b.Static && (!ok || old.Static) {
		t.enter(c.Key)
	}
	t.m[c.Key] = b
}

// enter gives a dynamic binding its place, which is the oldest one's when all
// are taken. A place may name a binding that is gone or pinned by now, or one
// that came again later: then it is forgotten early, as if it were the older.
func (t *MemTable) enter(k Key) {
	if len(t.order) < t.limit {
		t.order = append(t.order, k)
		return
	}
	if old := t.order[t.next]; old != k && !t.m[old].Static {
		delete(t.m, old)
	}
	t.order[t.next] = k
	t.next = (t.next + 1) % t.limit
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
