package transfer

import (
	"cmp"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/exchange"
	"arpeggio/arp/vendors"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
)

// Export describes what is exported.
type Export struct {
	// Rows are the entries of a commit, expired ones included.
	Rows []versioned.Row
	// At is the time of that commit; sightings after it do not count. Zero is for
	// the latest one: all count.
	At time.Time
	// Seen is the seen index; without one, an entry was last seen when it was
	// first seen.
	Seen map[arp.Key][]versioned.SeenOwner
	// Format names what the rows are for. Aside is what imports said beyond that;
	// nil for nothing.
	Format string
	Aside  *Aside
	// Former has the stations in it that held an address before, or hold it no
	// longer: as in arpwatch's file.
	Former bool
	// Pinned leaves all but the operator's pins out.
	Pinned bool
	// Vendors names the makers of cards; nil: nobody.
	Vendors *vendors.Table
}

// Table returns the rows, by domain, VLAN and address, and of one address the
// latest holder first.
func (x *Export) Table() []exchange.Row {
	var out []exchange.Row
	rows := slices.Clone(x.Rows)
	slices.SortFunc(rows, func(a, b versioned.Row) int { return versioned.CompareKeys(a.Key, b.Key) })
	for i := range rows {
		out = append(out, x.address(&rows[i])...)
	}
	if x.Aside != nil && x.Format == "ethers" {
		out = append(out, x.Aside.hosts()...)
	}
	return out
}

// address returns the rows of one address.
func (x *Export) address(r *versioned.Row) (out []exchange.Row) {
	e := &r.Entry
	if x.Pinned && e.State != versioned.Static {
		return nil
	}
	add := func(mac ethernet.Addr, holds bool) {
		row := exchange.Row{Key: r.Key, MAC: mac, Interface: e.Interface}
		if holds {
			row.First = time.Unix(e.FirstSeen, 0).UTC()
			row.Seen = row.First
			if e.State == versioned.Static {
				row.State = exchange.Static
			}
		}
		for _, s := range x.Seen[r.Key] {
			if s.MAC == mac && (x.At.IsZero() || !s.First.After(x.At)) {
				row.Seen = s.Last.UTC()
				if !x.At.IsZero() && row.Seen.After(x.At) {
					row.Seen = x.At
				}
				if row.First.IsZero() || row.First.Equal(s.First.Truncate(time.Second)) {
					row.First = s.First.UTC() // a second's fraction is not in the entry
				}
			}
		}
		if !holds && row.Seen.IsZero() {
			return // nothing is known about it
		}
		if x.Vendors != nil {
			row.Vendor = x.Vendors.Name(mac)
		}
		if x.Aside != nil {
			x.Aside.fill(x.Format, &row, x.At.IsZero())
		}
		out = append(out, row)
	}
	if e.State != versioned.Expired || x.Former {
		add(e.MAC, e.State != versioned.Expired)
	}
	if !x.Former {
		return out
	}
	for _, m := range e.Earlier {
		if !m.IsZero() {
			add(m, false)
		}
	}
	for _, s := range x.Seen[r.Key] {
		if !slices.ContainsFunc(out, func(o exchange.Row) bool { return o.MAC == s.MAC }) && (x.At.IsZero() || !s.First.After(x.At)) {
			add(s.MAC, false)
		}
	}
	slices.SortStableFunc(out, func(a, b exchange.Row) int {
		return cmp.Or(holdsFirst(a, e)-holdsFirst(b, e), b.Seen.Compare(a.Seen))
	})
	return out
}

// holdsFirst orders the holder before the others.
func holdsFirst(r exchange.Row, e *versioned.Entry) int {
	if r.MAC == e.MAC && e.State != versioned.Expired {
		return 0
	}
	return 1
}
