package versioned

import (
	"iter"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// IndexQuery selects commits. What is empty or zero selects all; of several of
// one kind any will do, and each kind that is given must be met.
type IndexQuery struct {
	// MACs are named by a commit as the one that claims or holds an address, or
	// stand in an entry that it wrote or replaced.
	MACs []ethernet.Addr
	// Types are causes and types of events.
	Types []string
	// Addrs are named by a commit, or it changed their entry in some network.
	Addrs []netip.Addr
	// Since and Until bound commit times, inclusively.
	Since, Until time.Time
}

// Found is a commit that an index found.
type Found struct {
	ID   vcs.ID
	Time time.Time // when it was committed
	// Sure is false where the commit itself must be looked at: only candidates are
	// known.
	Sure bool
	// Cut says that every way from the newer commits to the older ones leads
	// through this one.
	Cut bool
	// Parent is its only parent, zero where the index does not say.
	Parent vcs.ID
}

// Search yields the commits that a query selects among one of a time and its
// ancestors, in the order of a log, newest first. Ok is false when the index
// cannot tell, because it does not have the commit, or the log from it is another
// one than the index's order. The index must not be changed meanwhile.
func (x *RecordIndex) Search(from vcs.ID, at time.Time, q IndexQuery) (found iter.Seq[Found], ok bool) {
	first, row, ok := x.place(from, at.Unix())
	if !ok || first.flags(row)&rowCut == 0 {
		return nil, false
	}
	n := slices.Index(x.blocks, first) + 1
	if !q.Since.IsZero() && slices.ContainsFunc(x.blocks[:n], func(b *indexBlock) bool { return b.skew }) {
		return nil, false // a log ends where a commit is older
	}
	s := searcher{q: q}
	for _, m := range q.MACs {
		s.macs = append(s.macs, macTerm(m))
	}
	for _, a := range q.Addrs {
		s.addrs = append(s.addrs, addrTerm(a))
	}
	return func(yield func(Found) bool) {
		for i, b := range slices.Backward(x.blocks[:n]) {
			last := b.n - 1
			if i == n-1 {
				last = row
			}
			if !s.block(b, last, yield) {
				return
			}
		}
	}, true
}

// After returns, of the commits that came after a time among one and its ancestors,
// the oldest through which every way leads: going back from it along first parents
// comes to the same as going back from the first. Ok is false when there is none, or
// the index cannot tell, as for Search.
func (x *RecordIndex) After(from vcs.ID, at, t time.Time) (f Found, ok bool) {
	first, row, ok := x.place(from, at.Unix())
	if !ok || first.flags(row)&rowCut == 0 {
		return f, false
	}
	n := slices.Index(x.blocks, first) + 1
	if slices.ContainsFunc(x.blocks[:n], func(b *indexBlock) bool { return b.skew }) {
		return f, false
	}
	k := sort.Search(n, func(i int) bool { b := x.blocks[i]; return b.time(b.n-1) > t.Unix() })
	for ; k < n; k++ {
		b := x.blocks[k]
		for r := sort.Search(b.n, func(r int) bool { return b.time(r) > t.Unix() }); r < b.n; r++ {
			if k == n-1 && r > row {
				return f, false
			}
			if b.flags(r)&rowCut != 0 {
				return Found{ID: b.id(r), Time: time.Unix(b.time(r), 0), Cut: true}, true
			}
		}
	}
	return f, false
}

type searcher struct {
	q           IndexQuery
	macs, addrs []uint64
}

// block yields what is in the rows of a block up to one. It returns false when
// that is the end of the search.
func (s *searcher) block(b *indexBlock, last int, yield func(Found) bool) bool {
	if !s.q.Until.IsZero() && !b.skew {
		until := s.q.Until.Unix()
		last = min(last, sort.Search(b.n, func(r int) bool { return b.time(r) > until })-1)
	}
	sets, any := s.sets(b)
	if !any || last < 0 {
		return !s.past(b.time(0))
	}
	// The rows that postings select; nil: all.
	var rows []int
	given := false
	for _, kind := range []struct {
		addresses bool
		terms     []uint64
	}{{false, s.macs}, {true, s.addrs}} {
		if len(kind.terms) == 0 {
			continue
		}
		have := b.find(kind.addresses, kind.terms)
		if given {
			have = slices.DeleteFunc(have, func(r int) bool {
				_, both := slices.BinarySearch(rows, r)
				return !both
			})
		}
		rows, given = have, true
	}
	if !given {
		return s.all(b, last, sets, yield)
	}
	for _, r := range slices.Backward(rows) {
		if r <= last && !s.row(b, r, sets, yield) {
			return false
		}
	}
	return !s.past(b.time(0))
}

// all goes through all rows of a block.
func (s *searcher) all(b *indexBlock, last int, sets *[256]bool, yield func(Found) bool) bool {
	column := b.raw[blockHead+25*b.rows:]
	for r := last; r >= 0; r-- {
		if sets[column[r]] && !s.row(b, r, sets, yield) {
			return false
		}
	}
	return !s.past(b.time(0))
}

// row yields a row if the rest of the query selects it.
func (s *searcher) row(b *indexBlock, r int, sets *[256]bool, yield func(Found) bool) bool {
	set := b.set(r)
	if !sets[set] {
		return true
	}
	unix := b.time(r)
	if s.past(unix) {
		return false
	}
	if !s.q.Until.IsZero() && time.Unix(unix, 0).After(s.q.Until) {
		return true
	}
	sure := (set != moreSets || len(s.q.Types) == 0) && (len(s.addrs)+len(s.macs) == 0 || b.flags(r)&rowMore == 0)
	for _, a := range s.addrs {
		sure = sure && a&hashedTerm == 0
	}
	f := Found{ID: b.id(r), Time: time.Unix(unix, 0), Sure: sure, Cut: b.flags(r)&rowCut != 0}
	if r > 0 && b.flags(r)&(rowCut|rowEnd|rowMore) == rowCut {
		f.Parent = b.id(r - 1)
	}
	return yield(f)
}

// past reports whether a time is before what is wanted. Without skew all rows
// below are older.
func (s *searcher) past(unix int64) bool {
	return !s.q.Since.IsZero() && time.Unix(unix, 0).Before(s.q.Since)
}

// sets returns which sets of types are selected, by number, and whether any is.
func (s *searcher) sets(b *indexBlock) (in *[256]bool, any bool) {
	in = new([256]bool)
	if len(s.q.Types) == 0 {
		for i := range in {
			in[i] = true
		}
		return in, true
	}
	in[moreSets] = true
	for i, set := range b.sets {
		for t := range strings.SplitSeq(set, "\n") {
			in[i] = in[i] || slices.Contains(s.q.Types, t)
		}
		any = any || in[i]
	}
	return in, any || slices.Contains(b.raw[blockHead+25*b.rows:blockHead+25*b.rows+b.n], moreSets)
}
