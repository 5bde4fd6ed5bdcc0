package igmp

import (
	"net/netip"
	"slices"
)

// Filter says from which sources a group is wanted: from those named or, when
// Exclude is set, from all but those. The zero value wants nothing. Sources are
// sorted and appear once; see NewFilter.
type Filter struct {
	Exclude bool
	Sources []netip.Addr
}

// Everyone is the filter of a member that names no sources.
var Everyone = Filter{Exclude: true}

// NewFilter returns the filter with a sorted copy of sources.
func NewFilter(exclude bool, sources ...netip.Addr) Filter {
	s := slices.Clone(sources)
	slices.SortFunc(s, netip.Addr.Compare)
	return Filter{exclude, slices.Compact(s)}
}

// None reports whether the filter wants nothing: whoever has it is no member.
func (f Filter) None() bool { return !f.Exclude && len(f.Sources) == 0 }

// Allows reports whether packets of source are wanted.
func (f Filter) Allows(source netip.Addr) bool {
	return f.Names(source) != f.Exclude
}

// Names reports whether source is in the list.
func (f Filter) Names(source netip.Addr) bool {
	_, found := slices.BinarySearchFunc(f.Sources, source, netip.Addr.Compare)
	return found
}

// Equal reports whether two filters want the same.
func (f Filter) Equal(o Filter) bool {
	return f.Exclude == o.Exclude && slices.Equal(f.Sources, o.Sources)
}

// Merge returns what an interface must receive so that each of the filters gets
// what it wants (RFC 3376 §3.2).
func Merge(filters ...Filter) Filter {
	var include, exclude []netip.Addr
	excluding := false
	for _, f := range filters {
		switch {
		case !f.Exclude:
			include = append(include, f.Sources...)
		case !excluding:
			excluding, exclude = true, slices.Clone(f.Sources)
		default:
			exclude = slices.DeleteFunc(exclude, func(a netip.Addr) bool { return !f.Names(a) })
		}
	}
	in := NewFilter(false, include...)
	if !excluding {
		return in
	}
	return NewFilter(true, minus(exclude, in.Sources)...)
}

// minus returns what is in a and not in the sorted b.
func minus(a, b []netip.Addr) (out []netip.Addr) {
	for _, x := range a {
		if _, found := slices.BinarySearchFunc(b, x, netip.Addr.Compare); !found {
			out = append(out, x)
		}
	}
	return out
}

// common returns what is in both a and the sorted b.
func common(a, b []netip.Addr) (out []netip.Addr) {
	for _, x := range a {
		if _, found := slices.BinarySearchFunc(b, x, netip.Addr.Compare); found {
			out = append(out, x)
		}
	}
	return out
}
