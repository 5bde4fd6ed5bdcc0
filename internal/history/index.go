package history

import (
	"slices"
	"strings"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// index passes over commits that a store knows to have changed nothing of some
// specs. A nil index passes over none. It is for one goroutine.
//
// An address stands for one file in each broadcast domain and VLAN, so the index
// must know their folders. It looks for them at both ends of each stretch that
// it passes over. One that came into being and vanished again inside of a
// stretch it does not see: tables keep their folders, since they forget by
// expiring entries.
type index struct {
	s     *vcs.Store
	specs []Spec
	paths []string // that is knows; sorted
	whole bool     // is knows all files of the specs, whenever they were there
	is    vcs.PathIndex
}

// newIndex returns nil when the store has none.
func newIndex(s *vcs.Store, specs []Spec) *index {
	x := &index{s: s, specs: specs}
	var names []func(string) bool
	for _, sp := range specs {
		names = append(names, sp.names())
	}
	x.is = s.PathIndexFunc(func(path string) bool {
		for _, is := range names {
			if is(path) {
				return true
			}
		}
		return false
	})
	if x.whole = x.is != nil; x.whole {
		return x
	}
	for _, sp := range specs {
		if !sp.Addr.IsValid() {
			x.paths = append(x.paths, sp.Path)
		}
	}
	slices.Sort(x.paths)
	x.paths = slices.Compact(x.paths)
	if x.is = s.PathIndex(x.paths...); x.is == nil {
		return nil
	}
	return x
}

// covers makes sure that the index knows the paths of a commit, and reports
// whether it did.
func (x *index) covers(id vcs.ID) (bool, error) {
	if x.whole || !slices.ContainsFunc(x.specs, func(s Spec) bool { return s.Addr.IsValid() }) {
		return true, nil
	}
	c, err := x.s.ReadCommit(id)
	if err != nil {
		return false, err
	}
	paths := slices.Clone(x.paths)
	for _, sp := range x.specs {
		if sp.Addr.IsValid() {
			if paths, err = addressPaths(x.s, c.Tree, sp, paths); err != nil {
				return false, err
			}
		}
	}
	slices.Sort(paths)
	if paths = slices.Compact(paths); len(paths) == len(x.paths) {
		return true, nil
	}
	x.paths = paths
	x.is = x.s.PathIndex(paths...)
	return false, nil
}

// addressPaths adds the paths that an address has in the domains and VLANs of a
// tree.
func addressPaths(r vcs.TreeReader, tree vcs.ID, sp Spec, paths []string) ([]string, error) {
	_, rest, _ := strings.Cut(versioned.Layout{}.Path(arp.Key{Domain: "lan", Addr: sp.Addr}), "/")
	root, err := r.ReadTree(tree)
	if err != nil {
		return nil, err
	}
	for domain := range folders(root) {
		paths = append(paths, domain.Name+"/"+rest)
		t, err := r.ReadTree(domain.ID)
		if err != nil {
			return nil, err
		}
		for vlan := range folders(t) {
			if strings.HasPrefix(vlan.Name, "vlan-") {
				paths = append(paths, domain.Name+"/"+vlan.Name+"/"+rest)
			}
		}
	}
	return paths, nil
}

// skip goes from a commit along first parents to the nearest one, itself
// included, that may have changed a spec.
func (x *index) skip(id vcs.ID) (vcs.ID, error) {
	if x == nil {
		return id, nil
	}
	if _, err := x.covers(id); err != nil || x.is == nil {
		return id, err
	}
	for {
		to, err := x.is.Skip(id)
		if err != nil || to == id {
			return to, err
		}
		known, err := x.covers(to)
		if err != nil || known || x.is == nil {
			return to, err
		}
	}
}

// mayChange reports whether a commit may have changed a spec; false is certain.
func (x *index) mayChange(c *vcs.Commit) (bool, error) {
	if x == nil || x.is == nil {
		return true, nil
	}
	for _, id := range append([]vcs.ID{c.ID}, c.Parents[:min(len(c.Parents), 1)]...) {
		if _, err := x.covers(id); err != nil || x.is == nil {
			return true, err
		}
	}
	return x.is.MayChange(c.ID)
}
