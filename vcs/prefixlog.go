package vcs

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// hexPrefix tells ids by how they begin in hexadecimal.
type hexPrefix struct {
	id     ID // the digits, and zeros
	digits int
}

// parsePrefix reads up to forty hexadecimal digits of either case.
func parsePrefix(s string) (p hexPrefix, ok bool) {
	id, err := ParseID(strings.ToLower(s) + strings.Repeat("0", max(0, 2*len(p.id)-len(s))))
	return hexPrefix{id, len(s)}, err == nil
}

func (p *hexPrefix) of(id ID) bool {
	n := p.digits / 2
	return bytes.Equal(id[:n], p.id[:n]) && (p.digits%2 == 0 || id[n]>>4 == p.id[n]>>4)
}

// prefixSearch looks for commits of the logs. An id is in no table: it is
// computed from its record, which for a whole history takes less time than to
// walk it. Commits that are kept as objects cannot be listed: where one of the
// logs' has such a parent, or a ref leads to one, the search does not know all.
type prefixSearch struct {
	prefix hexPrefix
	need   map[ID]bool // commits that have to be among those that are looked at
	mu     sync.Mutex
	found  map[ID]bool
	met    map[ID]bool // of those that are needed
}

// look looks at a commit.
func (x *prefixSearch) look(id ID) {
	match, needed := x.prefix.of(id), x.need[id]
	if !match && !needed {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if match {
		x.found[id] = true
	}
	if needed {
		x.met[id] = true
	}
}

// findLogged is FindPrefix for a store that keeps a log.
func (s *Store) findLogged(prefix string) ([]ID, bool, error) {
	p, ok := parsePrefix(prefix)
	if !ok {
		return nil, true, nil // no id begins so
	}
	x := prefixSearch{prefix: p, need: make(map[ID]bool), found: make(map[ID]bool), met: make(map[ID]bool)}
	refs, err := s.Refs()
	if err != nil {
		return nil, false, err
	}
	for _, r := range refs {
		if id, err := PeelCommit(s, r.Target); err == nil {
			x.need[id] = true
		}
	}
	// What is not saved yet goes first: if it is saved meanwhile, it is in a log.
	pending := s.pendingCommits()
	all := s.log.newestFirst()
	for _, l := range all {
		outside, err := l.outsideParents()
		if err != nil {
			return nil, false, nil // the walk says what is damaged
		}
		for _, id := range outside {
			x.need[id] = true
		}
	}
	for _, id := range append(pending, s.epochs.madeCommits()...) {
		x.look(id)
	}
	for _, l := range all {
		if !l.each(x.look) {
			return nil, false, nil
		}
	}
	for id := range x.need {
		if x.met[id] {
			continue
		}
		if _, _, err := s.log.native(id); err == nil {
			return nil, false, nil
		}
	}
	out := make([]ID, 0, len(x.found))
	for id := range x.found {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	return out, true, nil
}

// pendingCommits returns the commits that are not saved yet.
func (s *Store) pendingCommits() (ids []ID) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.queue {
		for i := range g.notes {
			ids = append(ids, g.notes[i].id)
		}
		for i := range g.objs {
			if g.objs[i].Kind == KindCommit {
				ids = append(ids, g.objs[i].ID)
			}
		}
	}
	return ids
}

// each visits the commits of the log, from several goroutines and not under the
// lock. It reports false when some cannot be read.
func (l *oplog) each(visit func(ID)) bool {
	l.mu.Lock()
	if l.damage != nil {
		l.mu.Unlock()
		return false
	}
	l.wake()
	segs, keys := slices.Clone(l.segs), l.keys
	l.mu.Unlock()
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(segs)) {
		wg.Go(func() {
			var room []byte
			for failed.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= len(segs) {
					return
				}
				var err error
				if room, err = segs[i].eachID(keys, room, visit); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return failed.Load() == 0
}

// eachID visits the commits of a segment. It takes room for their texts and
// returns it.
func (s *segment) eachID(keys []string, room []byte, visit func(ID)) ([]byte, error) {
	v, err := s.view()
	if err != nil {
		return room, err
	}
	l := oplog{keys: keys}
	for i := range v.n {
		if room, err = l.appendCommit(room[:0], v, i); err != nil {
			return room, err
		}
		v.rec(i).id = HashObject(KindCommit, room)
		visit(v.rec(i).id)
	}
	return room, nil
}
