package vcstest

import (
	"errors"
	"fmt"
	"slices"

	"arpeggio/vcs"
)

// valueWorld is the world of one key's values, without a repository.
type valueWorld[K comparable, V any] struct {
	dag
	e       Exhaustive[K, V]
	values  []vcs.Opt[V] // 0: absent
	texts   []string     // of the values, for people
	byText  map[string]int32
	written map[[3]int32]int32 // node, choice, value → value
	ids     map[valueCommit]int32
	settled map[[3]int32]int32   // values: base, ours, theirs → result, -1 for a conflict
	merged  map[[2]int32][]int32 // commits → values
	multi   int
}

type valueCommit struct {
	ours, theirs, content int32
	twin                  int
}

func newValueWorld[K comparable, V any](e Exhaustive[K, V]) (*valueWorld[K, V], error) {
	if e.Config.Codec == nil || e.Config.Merge == nil {
		return nil, fmt.Errorf("%w: a model needs a Codec and a merge function", vcs.ErrConfig)
	}
	m := &valueWorld[K, V]{e: e, values: make([]vcs.Opt[V], 1), texts: []string{"nothing"}, byText: make(map[string]int32),
		written: make(map[[3]int32]int32), ids: make(map[valueCommit]int32), settled: make(map[[3]int32]int32), merged: make(map[[2]int32][]int32)}
	m.add(0, m.texts[0])
	return m, nil
}

func (m *valueWorld[K, V]) graph() *dag  { return &m.dag }
func (m *valueWorld[K, V]) several() int { return m.multi }
func (m *valueWorld[K, V]) close() error { return nil }

func (m *valueWorld[K, V]) kept(result, written int32) error {
	r, w := m.values[m.commits[result].content], m.values[m.commits[written].content]
	if m.e.Keeps == nil || !w.Present || r.Present && m.e.Keeps(r.Value, w.Value) {
		return nil
	}
	return ErrLost
}

// intern numbers a value by its encoding.
func (m *valueWorld[K, V]) intern(o vcs.Opt[V]) (int32, error) {
	if !o.Present {
		return 0, nil
	}
	b, err := m.e.Config.Codec.Encode(o.Value)
	if err != nil {
		return 0, err
	}
	id, ok := m.byText[string(b)]
	if !ok {
		id = int32(len(m.values))
		m.byText[string(b)] = id
		m.values = append(m.values, o)
		m.texts = append(m.texts, fmt.Sprintf("%+v", o.Value))
	}
	return id, nil
}

func (m *valueWorld[K, V]) commit(content int32, twin int, parents ...int32) int32 {
	key := valueCommit{parents[0], -1, content, twin}
	if len(parents) > 1 {
		key.theirs = parents[1]
	}
	id, ok := m.ids[key]
	if !ok {
		id = m.add(content, m.texts[content], parents...)
		m.ids[key] = id
	}
	return id
}

func (m *valueWorld[K, V]) write(node, choice int, head int32, twin int) (int32, error) {
	content := m.commits[head].content
	key := [3]int32{int32(node), int32(choice), content}
	v, ok := m.written[key]
	if !ok {
		var err error
		if v, err = m.intern(m.e.Write(node, choice, m.values[content])); err != nil {
			return 0, err
		}
		m.written[key] = v
	}
	return m.commit(v, twin, head), nil
}

func (m *valueWorld[K, V]) merge(ours, theirs int32, twin int) ([]int32, error) {
	pair := [2]int32{ours, theirs}
	values, ok := m.merged[pair]
	if !ok {
		var err error
		if values, err = m.results(ours, theirs); err != nil {
			return nil, err
		}
		m.merged[pair] = values
	}
	ids := make([]int32, len(values))
	for i, v := range values {
		ids[i] = m.commit(v, twin, ours, theirs)
	}
	return ids, nil
}

// results returns what merging two commits gives with each base that it may
// take.
func (m *valueWorld[K, V]) results(ours, theirs int32) ([]int32, error) {
	all, lowest := m.bases([]int32{ours}, []int32{theirs})
	if len(lowest) > 1 {
		m.multi++
	}
	base, err := m.virtual(lowest)
	if err != nil {
		return nil, err
	}
	bases := []int32{base}
	if m.e.AnyBase {
		bases = append(bases, 0)
		for _, id := range all {
			bases = append(bases, m.commits[id].content)
		}
	}
	var out []int32
	for _, base := range bases {
		v, err := m.settle(base, m.commits[ours].content, m.commits[theirs].content)
		if err != nil {
			return nil, err
		}
		if v < 0 {
			return nil, vcs.ErrConflict
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out, nil
}

// virtual merges several merge bases as vcs.Repo.Merge does.
func (m *valueWorld[K, V]) virtual(lowest []int32) (int32, error) {
	if len(lowest) == 0 {
		return 0, nil
	}
	value := m.commits[lowest[0]].content
	for i, next := range lowest[1:] {
		_, below := m.bases(lowest[:i+1], []int32{next})
		base, err := m.virtual(below)
		if err != nil {
			return 0, err
		}
		if value, err = m.settle(base, value, m.commits[next].content); err != nil {
			return 0, err
		}
		value = max(value, 0) // a conflict counts as absent
	}
	return value, nil
}

// settle merges three values.
func (m *valueWorld[K, V]) settle(base, ours, theirs int32) (int32, error) {
	switch {
	case ours == theirs, base == theirs:
		return ours, nil
	case base == ours:
		return theirs, nil
	}
	key := [3]int32{base, ours, theirs}
	if v, ok := m.settled[key]; ok {
		return v, nil
	}
	o, err := m.e.Config.Merge(m.e.Key, m.values[base], m.values[ours], m.values[theirs])
	id := int32(-1)
	switch {
	case err == nil:
		id, err = m.intern(o)
	case errors.Is(err, vcs.ErrConflict):
		err = nil
	}
	if err == nil {
		m.settled[key] = id
	}
	return id, err
}
