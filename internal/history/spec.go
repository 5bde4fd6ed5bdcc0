package history

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// Spec selects files: a path (a file, a folder and what is below it, or, when
// empty, everything), or an address, which stands for its file in every
// broadcast domain and VLAN.
type Spec struct {
	Path string
	Addr netip.Addr // valid for an address
}

// ParseSpec reads what a person wrote. It refuses nothing: what is no address
// is a path.
func ParseSpec(text string) Spec {
	if a, err := netip.ParseAddr(text); err == nil {
		return Spec{Addr: a.Unmap().WithZone("")}
	}
	path := strings.Trim(strings.TrimPrefix(text, "./"), "/")
	if path == "." {
		path = ""
	}
	return Spec{Path: path}
}

// String returns the address or the path.
func (s Spec) String() string {
	if s.Addr.IsValid() {
		return s.Addr.String()
	}
	return s.Path
}

// names returns a function that reports whether a path is one of the spec's files,
// in whatever domain and VLAN.
func (s Spec) names() func(path string) bool {
	if !s.Addr.IsValid() {
		return func(path string) bool { return s.Path == "" || path == s.Path || strings.HasPrefix(path, s.Path+"/") }
	}
	_, own, _ := strings.Cut(versioned.Layout{}.Path(arp.Key{Domain: "lan", Addr: s.Addr}), "/")
	return func(path string) bool {
		if !strings.HasSuffix(path, own) {
			return false
		}
		_, rest, _ := strings.Cut(path, "/")
		if strings.HasPrefix(rest, "vlan-") {
			_, rest, _ = strings.Cut(rest, "/")
		}
		return rest == own
	}
}

// Match is a file or folder of a tree.
type Match struct {
	Path  string
	Entry vcs.TreeEntry
}

// Find returns what some specs select in a tree, in the order of the specs and,
// for an address, of the tree. A spec that selects nothing adds nothing.
func Find(r vcs.TreeReader, tree vcs.ID, specs []Spec) ([]Match, error) {
	var out []Match
	for _, s := range specs {
		var err error
		if s.Addr.IsValid() {
			out, err = findAddress(r, tree, s.Addr, out)
		} else {
			out, err = findPath(r, tree, "", s.Path, out)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// findPath adds the entry at rest below the folder dir with the id tree.
func findPath(r vcs.TreeReader, tree vcs.ID, dir, rest string, out []Match) ([]Match, error) {
	e := vcs.TreeEntry{Mode: vcs.ModeDir, ID: tree}
	path := strings.Trim(dir+"/"+rest, "/")
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if !e.Mode.IsDir() {
			return out, nil
		}
		t, err := r.ReadTree(e.ID)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var ok bool
		if e, ok = t.Find(name); !ok {
			return out, nil
		}
	}
	return append(out, Match{path, e}), nil
}

// findAddress adds an address's files.
func findAddress(r vcs.TreeReader, tree vcs.ID, addr netip.Addr, out []Match) ([]Match, error) {
	// Below the folders of domain and VLAN all paths to an address are equal.
	_, rest, _ := strings.Cut(versioned.Layout{}.Path(arp.Key{Domain: "lan", Addr: addr}), "/")
	root, err := r.ReadTree(tree)
	if err != nil {
		return nil, err
	}
	for domain := range folders(root) {
		if out, err = findPath(r, domain.ID, domain.Name, rest, out); err != nil {
			return nil, err
		}
		t, err := r.ReadTree(domain.ID)
		if err != nil {
			return nil, err
		}
		for vlan := range folders(t) {
			if !strings.HasPrefix(vlan.Name, "vlan-") {
				continue
			}
			if out, err = findPath(r, vlan.ID, domain.Name+"/"+vlan.Name, rest, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func folders(t *vcs.Tree) func(yield func(vcs.TreeEntry) bool) {
	return func(yield func(vcs.TreeEntry) bool) {
		for i := range t.Len() {
			if e := t.Entry(i); e.Mode.IsDir() && !yield(e) {
				return
			}
		}
	}
}

// Require returns what each spec selects in a commit's tree. A spec that
// selects nothing is an error that wraps ErrUnknown and names what comes near.
func Require(s *vcs.Store, c *vcs.Commit, specs []Spec) ([]Match, error) {
	var out []Match
	for _, sp := range specs {
		m, err := findLogged(s, c, sp)
		if err == nil && len(m) == 0 {
			m, err = Find(s, c.Tree, []Spec{sp})
		}
		if err != nil {
			return nil, err
		}
		if len(m) == 0 {
			return nil, missing(s, c, sp)
		}
		out = append(out, m...)
	}
	return out, nil
}

// findLogged finds the files of an address in a commit without its trees, where
// the store knows which paths there are.
func findLogged(s *vcs.Store, c *vcs.Commit, sp Spec) (out []Match, err error) {
	if !sp.Addr.IsValid() {
		return nil, nil
	}
	paths, _ := s.KnownPaths(sp.names())
	for _, p := range paths {
		e, _, err := s.FileAt(c.ID, p)
		if err != nil {
			return nil, err
		}
		if !e.ID.IsZero() {
			out = append(out, Match{p, e})
		}
	}
	return out, nil
}

// missing returns the error for a spec that selects nothing.
func missing(s *vcs.Store, c *vcs.Commit, sp Spec) error {
	var near []string
	if sp.Addr.IsValid() {
		near = nearestAddresses(s, c.Tree, sp.Addr)
	} else {
		near = nearestPaths(s, c.Tree, sp.Path)
	}
	what, hint := "path", ""
	if sp.Addr.IsValid() {
		what = "address"
	}
	if len(near) > 0 {
		hint = "; nearest: " + strings.Join(near, ", ")
	}
	return fmt.Errorf("%w %s %s in %v%s", ErrUnknown, what, sp, c.ID.Short(), hint)
}

// maxScan bounds the files that are looked at for the sake of an error.
const maxScan = 20000

// NearestAddresses returns addresses of a table that come near one.
func NearestAddresses(s *vcs.Store, c *vcs.Commit, addr netip.Addr) []string {
	return nearestAddresses(s, c.Tree, addr)
}

func nearestAddresses(s *vcs.Store, tree vcs.ID, addr netip.Addr) []string {
	var all []netip.Addr
	n := 0
	for ch, err := range vcs.DiffTrees(s, vcs.ID{}, tree) {
		if n++; err != nil || n > maxScan {
			break
		}
		if k, ok := (versioned.Layout{}).Key(ch.Path); ok && k.Addr.BitLen() == addr.BitLen() {
			all = append(all, k.Addr)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	i, _ := slices.BinarySearchFunc(all, addr, netip.Addr.Compare)
	var out []string
	first := max(min(i-1, len(all)-maxNear), 0)
	for _, a := range all[first:min(first+maxNear, len(all))] {
		out = append(out, a.String())
	}
	return out
}

// nearestPaths looks in the deepest folder of the path that exists.
func nearestPaths(s *vcs.Store, tree vcs.ID, path string) []string {
	dir, names := "", strings.Split(path, "/")
	t, err := s.ReadTree(tree)
	for err == nil {
		e, ok := t.Find(names[0])
		if !ok || !e.Mode.IsDir() || len(names) == 1 {
			break
		}
		dir, names, tree = dir+names[0]+"/", names[1:], e.ID
		t, err = s.ReadTree(tree)
	}
	if err != nil {
		return nil
	}
	var all []string
	for i := range t.Len() {
		all = append(all, t.Entry(i).Name)
	}
	var out []string
	for _, n := range nearest(names[0], all) {
		out = append(out, dir+n)
	}
	return out
}

// Selects reports whether some specs select the file at a path; none select
// everything.
func Selects(specs []Spec, path string) bool {
	for _, s := range specs {
		if s.Addr.IsValid() {
			if k, ok := (versioned.Layout{}).Key(path); ok && k.Addr == s.Addr {
				return true
			}
		} else if s.Path == "" || path == s.Path || strings.HasPrefix(path, s.Path+"/") {
			return true
		}
	}
	return len(specs) == 0
}
