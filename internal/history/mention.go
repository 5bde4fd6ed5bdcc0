package history

import (
	"errors"
	"slices"
	"strings"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// RecordTypes returns what LogOptions.Types may name: the types of events, and
// the causes of commits.
func RecordTypes() (names []string) {
	for t := range observe.Types() {
		names = append(names, t.Name)
	}
	for op := arp.OpLearned; op <= arp.OpQueryFailed; op++ {
		names = append(names, op.String())
	}
	names = append(names, versioned.CauseFlood, versioned.CauseMerge, versioned.CauseObserved, versioned.EventLoss, versioned.EventClock)
	slices.Sort(names)
	return slices.Compact(names)
}

// mentioned reports whether a commit's trailers name one of the addresses.
func (w *walker) mentioned(c *vcs.Commit) bool {
	for _, t := range c.Trailers() {
		key := t.Value
		switch t.Key {
		case versioned.TrailerLeft:
			key = leftAddress(key)
		case versioned.TrailerAddress:
		default:
			continue
		}
		addr := key[strings.LastIndexByte(key, '/')+1:]
		for _, s := range w.opt.Specs {
			if s.Addr.IsValid() && s.Addr.String() == addr {
				return true
			}
		}
	}
	return false
}

// leftAddress and leftMAC take ADDRESS MAC LAST-SEEN FRAMES apart; an address may
// have spaces in its domain.
func leftAddress(s string) string {
	words := strings.Split(s, " ")
	return strings.Join(words[:max(len(words)-3, 0)], " ")
}

func leftMAC(s string) string {
	words := strings.Split(s, " ")
	return words[max(len(words)-3, 0)]
}

// told reports whether a commit is one that MACs and Types select.
func (w *walker) told(c *vcs.Commit) (bool, error) {
	if len(w.opt.Types) > 0 && !slices.ContainsFunc(c.Trailers(), func(t vcs.Header) bool {
		return (t.Key == versioned.TrailerEvent || t.Key == versioned.TrailerCause) && slices.Contains(w.opt.Types, t.Value)
	}) {
		return false, nil
	}
	if len(w.opt.MACs) == 0 {
		return true, nil
	}
	folded := false
	for _, t := range c.Trailers() {
		mac := t.Value
		switch t.Key {
		case versioned.TrailerLeft:
			mac = leftMAC(mac)
		case versioned.TrailerMAC, versioned.TrailerOld:
		case versioned.TrailerCause:
			folded = mac == versioned.CauseFlood
			continue
		default:
			continue
		}
		if a, err := ethernet.ParseAddr(mac); err == nil && slices.Contains(w.opt.MACs, a) {
			return true, nil
		}
	}
	if !folded && c.Trailer(versioned.TrailerAddress) != "" || len(c.Parents) > 1 {
		return false, nil
	}
	return w.wrote(c)
}

// wrote reports whether a commit gave an address to one of the MAC addresses, or
// took one from it, though its trailers do not say so: that of a flood, or of
// another program.
func (w *walker) wrote(c *vcs.Commit) (bool, error) {
	var before vcs.ID
	if len(c.Parents) > 0 {
		p, err := w.s.ReadCommit(c.Parents[0])
		if err != nil {
			return false, err
		}
		before = p.Tree
	}
	for ch, err := range vcs.DiffTrees(w.s, before, c.Tree) {
		if err != nil {
			return false, err
		}
		if _, ok := (versioned.Layout{}).Key(ch.Path); !ok {
			continue
		}
		for _, e := range []vcs.TreeEntry{ch.Old, ch.New} {
			if e.ID.IsZero() || e.Mode.Kind() != vcs.KindBlob {
				continue
			}
			_, content, err := w.s.ReadObject(e.ID)
			if err != nil {
				return false, err
			}
			entry, err := versioned.Decode(content)
			if err != nil && !errors.Is(err, versioned.ErrEntry) {
				return false, err
			}
			if err == nil && slices.Contains(w.opt.MACs, entry.MAC) {
				return true, nil
			}
		}
	}
	return false, nil
}
