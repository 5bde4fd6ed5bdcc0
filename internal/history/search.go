package history

import (
	"errors"
	"iter"
	"net/netip"

	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// Searches reports whether Log would make use of an Index: it is not worth while
// to have one made for any other.
func (opt *LogOptions) Searches() bool {
	mentions := opt.Mentions || len(opt.MACs)+len(opt.Types) > 0
	for _, s := range opt.Specs {
		if !s.Addr.IsValid() {
			return false
		}
	}
	return len(opt.From) == 1 && len(opt.Not) == 0 && !opt.Graph &&
		// The log of an address leaves out lines of history, and the newest of all
		// commits are at hand.
		(mentions || len(opt.Specs) == 0 && !opt.Until.IsZero())
}

// search asks the index of the record. Ok is false when the history must be
// walked.
func (w *walker) search() (found iter.Seq[versioned.Found], ok bool) {
	opt := &w.opt
	if opt.Index == nil || !opt.Searches() {
		return nil, false
	}
	var addrs []netip.Addr
	for _, s := range opt.Specs {
		addrs = append(addrs, s.Addr)
	}
	c, err := w.commits.ReadCommit(opt.From[0])
	if err != nil {
		return nil, false
	}
	return opt.Index.Search(c.ID, c.Time(), versioned.IndexQuery{MACs: opt.MACs, Types: opt.Types, Addrs: addrs, Since: opt.Since, Until: opt.Until})
}

// found yields the commits that the index found.
func (w *walker) found(found iter.Seq[versioned.Found], yield func(Logged, error) bool) {
	n := 0
	for f := range found {
		w.s.Locate(f.ID, f.Time, f.Parent)
		c, err := w.commits.ReadCommit(f.ID)
		if errors.Is(err, vcs.ErrNotFound) {
			continue // its epoch has left since
		}
		show := true
		if err == nil && !f.Sure {
			if show, _, err = w.visit(c); err == nil && show {
				show, err = w.told(c)
			}
		}
		if err != nil {
			yield(Logged{}, err)
			return
		}
		if !show {
			continue
		}
		if !yield(Logged{c, c.Parents}, nil) {
			return
		}
		if n++; n == w.opt.Max {
			return
		}
	}
}
