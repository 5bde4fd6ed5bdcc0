package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/exchange"
	"arpeggio/arp/versioned"
)

// Read returns the rows of a file. A line that cannot be used is an error, that
// says how many there are, unless skip is called for each instead.
func Read(rows iter.Seq2[exchange.Row, error], skip func(*exchange.LineError)) ([]exchange.Row, error) {
	var out []exchange.Row
	var first *exchange.LineError
	bad := 0
	for row, err := range rows {
		var line *exchange.LineError
		switch {
		case err == nil:
			out = append(out, row)
		case !errors.As(err, &line):
			return nil, err
		case skip != nil:
			skip(line)
		default:
			if bad++; first == nil {
				first = line
			}
		}
	}
	if bad > 1 {
		return nil, fmt.Errorf("%w (and %d more)", first, bad-1)
	}
	if bad > 0 {
		return nil, first
	}
	return out, nil
}

// Import describes what is imported and into what.
type Import struct {
	Journal *versioned.Journal
	// Seen holds what the seen index says, and gets what the rows do.
	Seen map[arp.Key][]versioned.SeenOwner
	// Aside gets what the rows say beyond that.
	Aside *Aside
	// Format names where the rows come from; the rule of a commit names it.
	Format string
	// Domains names the broadcast domains of interfaces. An interface that is not
	// among them has the usual domain when it is the only one of the rows, else
	// one of its own name.
	Domains map[string]string
	// Now is the time of rows that have none.
	Now time.Time
}

// Imported counts what became of the rows.
type Imported struct {
	Rows      int
	Commits   int // bindings that were new or moved, and pins
	Refreshed int // a later sighting than was known
	Known     int // nothing new in it
	Older     int // before the last change of its address: only its time of sighting is kept
	Nameless  int // without an address: kept beside the history
}

// Run writes the rows in the order of their times, a commit for each change. A
// row that is no later than what the branch already had about its address
// changes no entry, so that a file that is imported again makes no commit.
func (im *Import) Run(ctx context.Context, rows []exchange.Row) (st Imported, err error) {
	rows = im.prepare(rows, &st)
	before := make(map[arp.Key]int64) // clocks of what was there at the start
	for i := range rows {
		if e, ok := im.Journal.Get(rows[i].Key); ok {
			before[rows[i].Key] = e.Clock
		}
	}
	for i := range rows {
		row := &rows[i]
		if err := im.row(ctx, row, before[row.Key], &st); err != nil {
			return st, err
		}
	}
	_, err = im.Journal.Flush(ctx)
	return st, err
}

// prepare completes keys and times, and sorts. Of several rows without a time
// about one address, the last one counts.
func (im *Import) prepare(rows []exchange.Row, st *Imported) []exchange.Row {
	st.Rows = len(rows)
	ifaces := make(map[string]bool)
	for _, r := range rows {
		if r.Interface != "" {
			ifaces[r.Interface] = true
		}
	}
	var out []exchange.Row
	untimed := make(map[arp.Key]int) // place in out
	for _, r := range rows {
		raw := r
		if !r.Key.Addr.IsValid() {
			st.Nameless++
			im.Aside.note(im.Format, &raw, arp.Key{}, im.Now)
			continue
		}
		r.Key.Addr = r.Key.Addr.Unmap()
		if r.Key.Domain == "" {
			r.Key.Domain = im.domain(r.Interface, len(ifaces))
		}
		if r.Seen.IsZero() {
			r.Seen = r.First
		}
		if r.Seen.IsZero() {
			r.Seen, r.First = im.Now, im.Now
			if n, ok := untimed[r.Key]; ok {
				im.Aside.note(im.Format, &raw, r.Key, r.Seen)
				out[n] = r
				st.Known++
				continue
			}
			untimed[r.Key] = len(out)
		}
		im.Aside.note(im.Format, &raw, r.Key, r.Seen)
		if r.First.IsZero() || r.First.After(r.Seen) {
			r.First = r.Seen
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b exchange.Row) int {
		return cmp.Or(a.First.Compare(b.First), a.Seen.Compare(b.Seen))
	})
	return out
}

func (im *Import) domain(iface string, ifaces int) string {
	if d, ok := im.Domains[iface]; ok {
		return d
	}
	if iface != "" && ifaces > 1 {
		return iface
	}
	return arp.DefaultDomain
}

// row writes one row.
func (im *Import) row(ctx context.Context, r *exchange.Row, clock int64, st *Imported) error {
	have, ok := im.Journal.Get(r.Key)
	held := ok && have.State != versioned.Expired
	later := !ok || r.First.UnixMilli() > clock
	o := versioned.Observation{
		Key: r.Key, MAC: r.MAC, Time: r.First, Interface: r.Interface,
		Learned: "imported", Rule: "import " + im.Format, Detail: r.Kind,
	}
	if r.Host != "" {
		o.Detail = "host " + r.Host
	}
	switch {
	case r.State == exchange.Static:
		o.Op, o.Learned = arp.OpPinned, "operator"
		if held && have.State == versioned.Static && have.MAC == r.MAC {
			o.Op = arp.OpNone
		}
	case held && have.MAC == r.MAC, held && have.State == versioned.Static, !later:
	case held:
		o.Op = arp.OpMoved
	default:
		o.Op = arp.OpLearned
	}
	if held && have.MAC != r.MAC {
		o.Old = have.MAC
		for _, s := range im.Seen[r.Key] {
			if s.MAC == have.MAC {
				o.LastSeen, o.Frames = s.Last, s.Frames
			}
		}
	}
	fresh := im.see(r)
	switch {
	case o.Op != arp.OpNone:
		if _, err := im.Journal.Write(ctx, &o); err != nil {
			return err
		}
		st.Commits++
	case !fresh:
		st.Known++
	case held && have.MAC == r.MAC:
		st.Refreshed++
	default:
		st.Older++
	}
	return nil
}

// see enters a row into the seen index; it reports whether that says more now.
func (im *Import) see(r *exchange.Row) bool {
	owners := im.Seen[r.Key]
	i := slices.IndexFunc(owners, func(o versioned.SeenOwner) bool { return o.MAC == r.MAC })
	if i < 0 {
		owners = append(owners, versioned.SeenOwner{MAC: r.MAC, First: r.First, Last: r.Seen, Frames: 1})
	} else {
		o := owners[i]
		if !r.Seen.After(o.Last) && !r.First.Before(o.First) {
			return false
		}
		if r.First.Before(o.First) {
			o.First = r.First
		}
		if r.Seen.After(o.Last) {
			o.Last = r.Seen
		}
		o.Frames++
		owners = slices.Clone(owners)
		owners[i] = o
	}
	slices.SortStableFunc(owners, func(a, b versioned.SeenOwner) int { return b.Last.Compare(a.Last) })
	im.Seen[r.Key] = owners
	return true
}
