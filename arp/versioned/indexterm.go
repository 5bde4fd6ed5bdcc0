package versioned

import (
	"errors"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

func macTerm(m ethernet.Addr) (t uint64) {
	for _, b := range m {
		t = t<<8 | uint64(b)
	}
	return t
}

// hashedTerm is set in the terms of those addresses that do not fit into one:
// others may have the same.
const hashedTerm = 1 << 47

// addrTerm stands for an address in 48 bits.
func addrTerm(a netip.Addr) (t uint64) {
	if a = a.Unmap(); a.Is4() {
		for _, b := range a.As4() {
			t = t<<8 | uint64(b)
		}
		return t
	}
	b, h := a.As16(), fnv.New64a()
	h.Write(b[:])
	return h.Sum64()&maxTerm | hashedTerm
}

// rowOf says what a commit concerns. Its parents are those that a log follows.
func rowOf(s *vcs.Store, c *vcs.Commit) (r indexRow, err error) {
	r = indexRow{id: c.ID, time: c.Committer.When.Unix()}
	folded := r.trailers(c.Trailers())
	own, err := s.ReadCommit(c.ID)
	if err != nil {
		return r, err
	}
	parents, macs := c.Parents, folded || c.Trailer(TrailerAddress) == ""
	switch {
	case !slices.Equal(own.Parents, c.Parents):
		// The root of an epoch changes nothing, and when the one before has left
		// the store everything.
		r.flags |= rowMore | rowJoint
		parents, macs = nil, true
	case len(parents) > 1:
		r.flags |= rowMore // of two parents one may have the same
		macs = false
	case len(parents) == 1 && !macs:
		paths, ok, err := s.ChangedPaths(c.ID)
		if err != nil {
			return r, err
		}
		if ok {
			for _, p := range paths {
				r.changed(p)
			}
			return r, nil
		}
	}
	if len(c.Parents) == 0 {
		r.flags |= rowEnd
	}
	if len(parents) == 0 {
		parents = []vcs.ID{{}}
	}
	for _, id := range parents {
		if err := r.compare(s, id, c.Tree, macs); err != nil {
			return r, err
		}
	}
	return r, nil
}

// trailers takes what a message says, and reports whether it is the one of a
// flood.
func (r *indexRow) trailers(list []vcs.Header) (folded bool) {
	var types []string
	for _, t := range list {
		switch t.Key {
		case TrailerCause:
			folded = t.Value == "flood"
			types = append(types, t.Value)
		case TrailerEvent:
			types = append(types, t.Value)
		case TrailerMAC, TrailerOld:
			r.mac(t.Value)
		case TrailerAddress:
			r.address(t.Value)
		case TrailerLeft:
			// ADDRESS MAC LAST-SEEN FRAMES, where an address may have spaces
			words := strings.Split(t.Value, " ")
			n := max(len(words)-3, 0)
			r.mac(words[n])
			r.address(strings.Join(words[:n], " "))
		}
	}
	r.types = strings.Join(types, "\n")
	return folded
}

func (r *indexRow) mac(text string) {
	if m, err := ethernet.ParseAddr(text); err == nil {
		r.macs = append(r.macs, m)
	}
}

// address takes the last part of a key, if it is written as addresses are.
func (r *indexRow) address(key string) {
	text := key[strings.LastIndexByte(key, '/')+1:]
	if a, err := netip.ParseAddr(text); err == nil && a.String() == text {
		r.addrs = append(r.addrs, addrTerm(a))
	}
}

// changed takes the address of a file, in whatever domain and VLAN.
func (r *indexRow) changed(path string) {
	if a, ok := pathAddr(path); ok {
		r.addrs = append(r.addrs, addrTerm(a))
	}
}

// pathAddr returns the address that a path ends in, when its folders are those of
// the address.
func pathAddr(path string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return a, false
	}
	_, below, _ := strings.Cut(Layout{}.Path(arp.Key{Addr: a}), "/")
	_, rest, _ := strings.Cut(path, "/")
	if strings.HasPrefix(rest, "vlan-") {
		_, rest, _ = strings.Cut(rest, "/")
	}
	return a, rest == below
}

// compare takes the addresses whose files differ from those of a parent, the zero
// one for none, and, when the message does not say all, the MAC addresses in them.
func (r *indexRow) compare(s *vcs.Store, parent, tree vcs.ID, macs bool) error {
	var before vcs.ID
	if !parent.IsZero() {
		p, err := s.ReadCommit(parent)
		if err != nil {
			return err
		}
		before = p.Tree
	}
	for ch, err := range vcs.DiffTrees(s, before, tree) {
		if err != nil {
			return err
		}
		r.changed(ch.Path)
		if !macs {
			continue
		}
		if _, ok := (Layout{}).Key(ch.Path); !ok {
			continue
		}
		for _, e := range []vcs.TreeEntry{ch.Old, ch.New} {
			if err := r.entry(s, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry takes the MAC address of an entry.
func (r *indexRow) entry(s *vcs.Store, e vcs.TreeEntry) error {
	if e.ID.IsZero() || e.Mode.Kind() != vcs.KindBlob {
		return nil
	}
	_, content, err := s.ReadObject(e.ID)
	if err != nil {
		return err
	}
	entry, err := Decode(content)
	if errors.Is(err, ErrEntry) {
		return nil
	}
	if err == nil {
		r.macs = append(r.macs, entry.MAC)
	}
	return err
}
