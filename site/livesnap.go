package site

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// snapshot is the state that one rendering of the page shows.
type snapshot struct {
	at         time.Time
	Neighbors  []Neighbor
	Commits    []Commit
	Interfaces []Interface
	Counters   []Counter
}

// snap returns the current state, shared between readers for snapshotAge.
func (l *Live) snap() snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.last.at.IsZero() && now.Sub(l.last.at) < snapshotAge {
		return l.last
	}
	s := snapshot{at: now}
	if l.cfg.Neighbors != nil {
		s.Neighbors = tidyNeighbors(l.cfg.Neighbors())
	}
	if l.cfg.Commits != nil {
		s.Commits = tidyCommits(l.cfg.Commits(commitsShown), commitsShown)
	}
	if l.cfg.Interfaces != nil {
		s.Interfaces = slices.Clone(l.cfg.Interfaces())
		for i := range s.Interfaces {
			n := &s.Interfaces[i]
			n.Name, n.MAC = clean(n.Name, 60), clean(n.MAC, 60)
		}
	}
	if l.cfg.Counters != nil {
		s.Counters = slices.Clone(l.cfg.Counters())
		for i := range s.Counters {
			k := &s.Counters[i]
			k.Name, k.Help = clean(k.Name, 60), clean(k.Help, 100)
		}
	}
	l.last = s
	return s
}

func tidyNeighbors(ns []Neighbor) []Neighbor {
	ns = slices.Clone(ns)
	slices.SortFunc(ns, func(a, b Neighbor) int {
		return cmp.Or(strings.Compare(a.Interface, b.Interface), strings.Compare(a.VLAN, b.VLAN), a.Addr.Compare(b.Addr))
	})
	if len(ns) > maxRows {
		ns = ns[:maxRows]
	}
	for i := range ns {
		n := &ns[i]
		n.Interface, n.VLAN, n.MAC = clean(n.Interface, 60), clean(n.VLAN, 60), clean(n.MAC, 60)
		n.State, n.Learned = clean(n.State, 40), clean(n.Learned, 60)
	}
	return ns
}

func tidyCommits(cs []Commit, n int) []Commit {
	cs = slices.Clone(cs[:min(len(cs), n)])
	for i := range cs {
		c := &cs[i]
		c.ID, c.Subject, c.Author = clean(c.ID, 64), clean(c.Subject, 200), clean(c.Author, 80)
		c.Refs, c.Parents = slices.Clone(c.Refs), slices.Clone(c.Parents)
		for j := range c.Refs {
			c.Refs[j] = clean(c.Refs[j], 80)
		}
		for j := range c.Parents {
			c.Parents[j] = clean(c.Parents[j], 64)
		}
	}
	return cs
}

// clean makes text from the wire fit for one line of a page: valid UTF-8, no
// control or formatting characters (which could turn the direction of a line
// around), and no more than limit characters.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit-1]) + "…"
	}
	return s
}

// digest tells whether a part of a snapshot has changed since it was last sent.
func digest(part any) [sha256.Size]byte {
	b, err := json.Marshal(part)
	if err != nil {
		panic(err) // plain structs of strings, numbers, addresses and times
	}
	return sha256.Sum256(b)
}
