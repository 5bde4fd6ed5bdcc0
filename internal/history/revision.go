package history

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// ErrAmbiguous: a name that stands for more than one thing.
var ErrAmbiguous = errors.New("ambiguous")

// ErrUnknown: a revision, path or address that is not there. The message names
// what comes near it.
var ErrUnknown = errors.New("unknown")

// Resolver finds the commits that people name. Store and Now are required.
type Resolver struct {
	Store *vcs.Store
	// Now is the time that relative times are relative to, in the zone in which
	// the person reads clocks.
	Now time.Time
	// Detached is the commit of a HEAD that names no branch; zero when it does.
	Detached vcs.ID
	// Index, when not nil, returns the index of the record of HEAD, nil when there
	// is none. It is asked for times that lie far back, where the store keeps no
	// operation log, and changes no answer.
	Index func() (*versioned.RecordIndex, error)
}

// Revision is a commit and how it was named.
type Revision struct {
	Commit *vcs.Commit
	// At is set when a time was given: the commit is the one that held then.
	At Moment
}

// Head returns the commit that HEAD leads to.
func (r *Resolver) Head() (vcs.ID, error) {
	if !r.Detached.IsZero() {
		return r.Detached, nil
	}
	id, ok := r.Store.Ref(r.Store.Head())
	if ok {
		return vcs.PeelCommit(r.Store, id)
	}
	refs, _ := r.Store.Refs() // a Store's own list cannot fail
	if len(refs) == 0 {
		return vcs.ID{}, fmt.Errorf("%w revision: the repository has no commits yet", ErrUnknown)
	}
	return vcs.ID{}, fmt.Errorf("%w revision HEAD: there is no branch %s; there is %s",
		ErrUnknown, ShortRef(r.Store.Head()), strings.Join(nearest(ShortRef(r.Store.Head()), r.names()), ", "))
}

// Resolve returns the commit that a revision names: what vcs.Store.Resolve
// takes, an abbreviated id, NAME@{TIME}, or else a time, which means the commit
// that HEAD's branch was at then. The empty text is HEAD.
func (r *Resolver) Resolve(rev string) (Revision, error) {
	if name, at, ok := cutTime(rev); ok {
		m, ok := ParseTime(at, r.Now)
		if !ok {
			return Revision{}, fmt.Errorf("%w time %q in %q: such as 12:03, yesterday 12:03, 5m ago, 2006-01-02T15:04:05Z", ErrUnknown, at, rev)
		}
		from, err := r.commit(name)
		if err != nil {
			return Revision{}, err
		}
		return r.at(from, m)
	}
	id, err := r.commit(rev)
	if err != nil {
		m, ok := ParseTime(rev, r.Now)
		if !ok || !errors.Is(err, ErrUnknown) {
			return Revision{}, err
		}
		head, err := r.Head()
		if err != nil {
			return Revision{}, err
		}
		return r.at(head, m)
	}
	c, err := r.Store.ReadCommit(id)
	return Revision{Commit: c}, err
}

// Moment reads a time where a time or a revision may stand: ok is false for what
// is a revision.
func (r *Resolver) Moment(text string) (m Moment, ok bool) {
	if _, err := r.commit(text); !errors.Is(err, ErrUnknown) {
		return Moment{}, false
	}
	return ParseTime(text, r.Now)
}

// Range returns the two sides of A..B; a side that is missing is HEAD. A time
// of day on the right is the first one after the left side's.
func (r *Resolver) Range(text string) (a, b Revision, err error) {
	left, right, ok := strings.Cut(text, "..")
	if !ok || strings.HasPrefix(right, ".") {
		return a, b, fmt.Errorf("%w range %q: want A..B, such as primary~5..primary or 11:55..12:05", ErrUnknown, text)
	}
	if a, err = r.Resolve(left); err != nil {
		return a, b, err
	}
	if b, err = r.Resolve(right); a.At.Time.IsZero() {
		return a, b, err
	}
	if m, ok := ParseTime(right, r.Now); ok && m.Daily && (err != nil || b.At.Daily) {
		head, err := r.Head()
		if err != nil {
			return a, b, err
		}
		b, err = r.at(head, m.after(a.At.Time))
		return a, b, err
	}
	return a, b, err
}

// IsRange reports whether text has the form of a range: no name of a ref holds
// two dots.
func IsRange(text string) bool { return strings.Contains(text, "..") }

// cutTime splits NAME@{TIME}.
func cutTime(rev string) (name, at string, ok bool) {
	inner, ok := strings.CutSuffix(rev, "}")
	if !ok {
		return "", "", false
	}
	return strings.Cut(inner, "@{")
}

// commit returns the commit of a revision that is no time.
func (r *Resolver) commit(rev string) (vcs.ID, error) {
	base := rev
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		base = rev[:i]
	}
	id, err := r.base(base)
	if err != nil {
		return vcs.ID{}, err
	}
	id, err = r.Store.Resolve(id.String() + rev[len(base):])
	if errors.Is(err, vcs.ErrNotFound) {
		return vcs.ID{}, fmt.Errorf("%w revision %q: %s has no such ancestor", ErrUnknown, rev, cmp.Or(base, "HEAD"))
	}
	return id, err
}

func (r *Resolver) base(name string) (vcs.ID, error) {
	if name == "" || name == "HEAD" || name == "@" {
		return r.Head()
	}
	_, tag := r.Store.Ref(vcs.TagRef(name))
	_, branch := r.Store.Ref(vcs.BranchRef(name))
	if tag && branch {
		return vcs.ID{}, fmt.Errorf("%w: %s is both a tag and a branch; write %s or %s",
			ErrAmbiguous, name, vcs.TagRef(name), vcs.BranchRef(name))
	}
	id, err := r.Store.Resolve(name)
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, vcs.ErrNotFound) {
		return vcs.ID{}, err
	}
	if isPrefix(name) {
		found, err := r.abbreviated(name)
		switch {
		case err != nil:
			return vcs.ID{}, err
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return vcs.ID{}, fmt.Errorf("%w: %s begins the ids of %d commits: %s", ErrAmbiguous, name, len(found), r.describe(found))
		}
	}
	switch {
	case isShortID(name):
		return vcs.ID{}, fmt.Errorf("%w revision %q: an id can be abbreviated to four digits, not to fewer", ErrUnknown, name)
	case strings.Contains(name, ":"): // no ref has one
		return vcs.ID{}, fmt.Errorf("%w revision or time %q: write times such as 12:03, yesterday 12:03, 5m ago", ErrUnknown, name)
	}
	near := ""
	if n := nearest(name, r.names()); len(n) > 0 {
		near = "; nearest: " + strings.Join(n, ", ")
	}
	return vcs.ID{}, fmt.Errorf("%w revision %q%s", ErrUnknown, name, near)
}

// isShortID reports whether s may be meant as an id and is too short for one.
func isShortID(s string) bool {
	return len(s) < 4 && strings.ContainsAny(s, "0123456789") && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// isPrefix reports whether s may be an abbreviated id: four digits or more.
func isPrefix(s string) bool {
	return len(s) >= 4 && len(s) <= 40 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// abbreviated returns the commits whose id begins so: of those that the
// repository holds, where it can look them up, else of those that refs lead to.
func (r *Resolver) abbreviated(prefix string) (found []vcs.ID, err error) {
	prefix = strings.ToLower(prefix)
	ids, ok, err := r.Store.FindPrefix(prefix)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if kind, _, err := r.Store.ReadObject(id); err != nil {
			return nil, err
		} else if kind == vcs.KindCommit {
			found = append(found, id)
		}
	}
	if ok {
		return found, nil
	}
	for c, err := range r.Store.Log(r.Tips()...) {
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(c.ID.String(), prefix) {
			found = append(found, c.ID)
		}
	}
	return found, nil
}

// Tips returns the commits that refs and HEAD lead to, without doubles.
func (r *Resolver) Tips() (tips []vcs.ID) {
	refs, _ := r.Store.Refs() // a Store's own list cannot fail
	seen := make(map[vcs.ID]bool)
	add := func(id vcs.ID) {
		if id, err := vcs.PeelCommit(r.Store, id); err == nil && !seen[id] {
			seen[id] = true
			tips = append(tips, id)
		}
	}
	if !r.Detached.IsZero() {
		add(r.Detached)
	}
	for _, ref := range refs {
		add(ref.Target)
	}
	return tips
}

func (r *Resolver) describe(ids []vcs.ID) string {
	var out []string
	for _, id := range ids[:min(len(ids), 5)] {
		s := id.String()[:12]
		if c, err := r.Store.ReadCommit(id); err == nil {
			s += fmt.Sprintf(" (%s)", c.Subject())
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// at returns the commit that a branch was at, going back from a commit along
// first parents: where the branch was before each commit.
func (r *Resolver) at(from vcs.ID, m Moment) (Revision, error) {
	start, err := r.before(from, m.Time)
	if err != nil {
		return Revision{}, err
	}
	id, ok, err := r.Store.HeldAt(start, m.Time)
	if err != nil {
		return Revision{}, err
	}
	c, err := r.Store.ReadCommit(id)
	if err != nil {
		return Revision{}, err
	}
	if ok {
		return Revision{Commit: c, At: m}, nil
	}
	return Revision{}, fmt.Errorf("%w time: nothing was recorded before %s; the first commit, %s, is of %s", ErrUnknown,
		Stamp(m.Time), c.ID.Short(), Stamp(c.Time().In(m.Time.Location())))
}

// maxSteps is how many commits are gone back one by one before an index is asked.
const maxSteps = 1000

// before returns a commit from which it is less far to a time, along first parents,
// than from another one, or that one.
func (r *Resolver) before(from vcs.ID, at time.Time) (vcs.ID, error) {
	head, err := r.Head()
	if err != nil || r.Index == nil || r.Store.Logged() || from != head {
		return from, err
	}
	c, err := r.Store.ReadJoined(from)
	if err != nil {
		return from, err
	}
	first := c
	for range maxSteps {
		if !c.Time().After(at) || len(c.Parents) == 0 {
			return from, nil
		}
		p, err := r.Store.ReadJoined(c.Parents[0])
		if errors.Is(err, vcs.ErrNotFound) {
			return from, nil // its epoch has left
		}
		if err != nil {
			return from, err
		}
		c = p
	}
	x, err := r.Index()
	if err != nil || x == nil {
		return c.ID, err
	}
	if f, ok := x.After(from, first.Time(), at); ok && f.Time.Before(c.Time()) {
		return f.ID, nil
	}
	return c.ID, nil
}

// Stamp writes a time for people, with its zone.
func Stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05 -0700") }
