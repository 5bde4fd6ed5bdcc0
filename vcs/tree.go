package vcs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Mode is the type and permission field of a tree entry.
type Mode uint32

// The modes that git fsck --strict accepts in a tree.
const (
	ModeDir        Mode = 0o040000
	ModeFile       Mode = 0o100644
	ModeExecutable Mode = 0o100755
	ModeSymlink    Mode = 0o120000
	ModeSubmodule  Mode = 0o160000
)

// IsDir reports whether the entry names a tree.
func (m Mode) IsDir() bool { return m == ModeDir }

// Kind returns the kind of object that an entry of this mode names.
func (m Mode) Kind() Kind {
	switch m {
	case ModeDir:
		return KindTree
	case ModeSubmodule:
		return KindCommit
	}
	return KindBlob
}

// String returns the mode as it stands in a tree object, octal without a
// leading zero.
func (m Mode) String() string { return fmt.Sprintf("%o", uint32(m)) }

func (m Mode) valid() bool {
	switch m {
	case ModeDir, ModeFile, ModeExecutable, ModeSymlink, ModeSubmodule:
		return true
	}
	return false
}

// TreeEntry is one line of a tree.
type TreeEntry struct {
	Name string
	Mode Mode
	ID   ID
}

// EmptyTree is the ID of the tree without entries.
var EmptyTree = HashObject(KindTree, nil)

// Tree is an immutable decoded tree. It holds the object's content and where
// each entry starts, so that replacing one entry copies bytes and parses
// nothing. The zero Tree is the empty one. It is safe for concurrent use.
type Tree struct {
	raw []byte
	off []uint32 // start of each entry; shared between versions with equal names
}

// ParseTree decodes a tree object's content, which it keeps. It accepts what
// git fsck --strict accepts: known modes, sorted and unique names that are
// neither empty, "." , "..", ".git" nor contain a slash. The error wraps
// ErrBadObject.
func ParseTree(content []byte) (*Tree, error) {
	t := &Tree{raw: content}
	var last rawEntry
	dirs := 0
	for pos := 0; pos < len(content); {
		mode, name, next, err := scanEntry(content, pos)
		if err != nil {
			return nil, err
		}
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("%w: tree: %w", ErrBadObject, err)
		}
		if pos > 0 && compareNames(last.name, last.mode, name, mode) >= 0 {
			return nil, fmt.Errorf("%w: tree: entry %.80q is out of order", ErrBadObject, name)
		}
		if mode == ModeDir {
			dirs++
		}
		if pos == 0 {
			t.off = make([]uint32, 0, len(content)/next+1)
		}
		last.name, last.mode = name, mode
		t.off = append(t.off, uint32(pos))
		pos = next
	}
	// A file and a folder of one name do not sort next to each other, since the
	// folder compares as name/.
	for i := 1; dirs > 0 && dirs < len(t.off) && i < len(t.off); i++ {
		e := t.entryAt(i)
		// What sorts between the two starts with their name.
		if e.mode != ModeDir || !bytes.HasPrefix(t.entryAt(i-1).name, e.name) {
			continue
		}
		if _, twice := t.search(e.name, ModeFile); twice {
			return nil, fmt.Errorf("%w: tree: entry %.80q occurs twice", ErrBadObject, e.name)
		}
	}
	return t, nil
}

// scanEntry reads the entry at pos.
func scanEntry(b []byte, pos int) (mode Mode, name []byte, next int, err error) {
	bad := func(why string) (Mode, []byte, int, error) {
		return 0, nil, 0, fmt.Errorf("%w: tree: %s at byte %d", ErrBadObject, why, pos)
	}
	i := pos
	for ; i < len(b) && b[i] >= '0' && b[i] <= '7' && i-pos < 7; i++ {
		mode = mode<<3 | Mode(b[i]-'0')
	}
	if i == pos || i >= len(b) || b[i] != ' ' || b[pos] == '0' || !mode.valid() {
		return bad("bad mode")
	}
	i++
	n := bytes.IndexByte(b[i:], 0)
	if n < 0 {
		return bad("name without end")
	}
	name = b[i : i+n]
	next = i + n + 1 + len(ID{})
	if next > len(b) {
		return bad("cut-off id")
	}
	if ID(b[i+n+1:next]) == (ID{}) {
		return bad("null id")
	}
	return mode, name, next, nil
}

// CheckName reports whether name may stand in a tree; the error wraps
// ErrBadPath.
func CheckName(name string) error { return checkName([]byte(name)) }

func checkName(name []byte) error {
	bad := len(name) == 0 || len(name) > 4096 ||
		string(name) == "." || string(name) == ".." ||
		bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0
	if !bad && (name[0] == '.' || name[0]|0x20 == 'g') {
		bad = isDotGit(string(name))
	}
	for rest := name; !bad; { // a backslash separates folders on Windows
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		bad = isDotGit(string(rest))
	}
	if bad {
		return fmt.Errorf("%w: name %.80q", ErrBadPath, name)
	}
	return nil
}

// isDotGit recognises the spellings of .git that file systems fold to it:
// letter case, NTFS's short name and trailing dots and spaces, and HFS+'s
// ignorable code points.
func isDotGit(name string) bool {
	name = strings.Map(func(r rune) rune {
		if (r >= 0x200c && r <= 0x200f) || (r >= 0x202a && r <= 0x202e) || (r >= 0x206a && r <= 0x206f) || r == 0xfeff {
			return -1
		}
		return r
	}, name)
	if i := strings.IndexAny(name, `\:`); i >= 0 {
		name = name[:i]
	}
	name = strings.TrimRight(name, ". ")
	return strings.EqualFold(name, ".git") || strings.EqualFold(name, "git~1")
}

// NewTree builds a tree from entries in any order. The error wraps ErrBadPath
// for a bad or double name and ErrBadObject for an unknown mode.
func NewTree(entries []TreeEntry) (*Tree, error) {
	es := slices.Clone(entries)
	slices.SortFunc(es, func(a, b TreeEntry) int {
		return compareNames([]byte(a.Name), a.Mode, []byte(b.Name), b.Mode)
	})
	seen := make(map[string]bool, len(es))
	var t Tree
	for _, e := range es {
		if err := CheckName(e.Name); err != nil {
			return nil, err
		}
		if seen[e.Name] {
			return nil, fmt.Errorf("%w: name %q occurs twice", ErrBadPath, e.Name)
		}
		if !e.Mode.valid() || e.ID.IsZero() {
			return nil, fmt.Errorf("%w: entry %q has mode %v and id %v", ErrBadObject, e.Name, e.Mode, e.ID)
		}
		seen[e.Name] = true
		t.off = append(t.off, uint32(len(t.raw)))
		t.raw = appendEntry(t.raw, e.Mode, e.Name, e.ID)
	}
	return &t, nil
}

func appendEntry[S string | []byte](b []byte, m Mode, name S, id ID) []byte {
	switch m { // the two common ones without strconv
	case ModeFile:
		b = append(b, "100644 "...)
	case ModeDir:
		b = append(b, "40000 "...)
	default:
		b = append(append(b, m.String()...), ' ')
	}
	b = append(append(b, name...), 0)
	return append(b, id[:]...)
}

// Content returns the tree object's content, which must not be modified.
func (t *Tree) Content() []byte { return t.raw }

// Len returns the number of entries.
func (t *Tree) Len() int { return len(t.off) }

// Entry returns the i-th entry in Git's order.
func (t *Tree) Entry(i int) TreeEntry {
	e := t.entryAt(i)
	return TreeEntry{Name: string(e.name), Mode: e.mode, ID: e.id}
}

// Find returns the entry of that name.
func (t *Tree) Find(name string) (TreeEntry, bool) {
	i, ok := t.lookup([]byte(name))
	if !ok {
		return TreeEntry{}, false
	}
	return t.Entry(i), true
}

// rawEntry is an entry whose name still lies in the tree's content.
type rawEntry struct {
	mode Mode
	name []byte
	id   ID
}

func (t *Tree) end(i int) int {
	if i+1 < len(t.off) {
		return int(t.off[i+1])
	}
	return len(t.raw)
}

func (t *Tree) entryAt(i int) rawEntry {
	b := t.raw[t.off[i]:t.end(i)]
	var e rawEntry
	j := 0
	for ; b[j] != ' '; j++ {
		e.mode = e.mode<<3 | Mode(b[j]-'0')
	}
	k := len(b) - len(e.id)
	e.name = b[j+1 : k-1]
	e.id = ID(b[k:])
	return e
}

// lookup finds a name whichever mode it has.
func (t *Tree) lookup(name []byte) (int, bool) {
	if i, ok := t.search(name, ModeFile); ok {
		return i, true
	}
	return t.search(name, ModeDir)
}

// lookupNear is lookup of a name that is likely at a place.
func (t *Tree) lookupNear(i int, name []byte) (int, bool) {
	if i < len(t.off) && bytes.Equal(entryName(t.entryBytes(i)), name) {
		return i, true
	}
	return t.lookup(name)
}

// search returns where an entry of that name and sort class (folder or not)
// stands or would stand.
func (t *Tree) search(name []byte, m Mode) (int, bool) {
	lo, hi := 0, len(t.off)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		e := t.entryAt(mid)
		c := compareNames(e.name, e.mode, name, m)
		switch {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// compareNames is Git's tree order: bytewise, a folder's name as if it ended
// in a slash.
func compareNames(a []byte, am Mode, b []byte, bm Mode) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return int(tail(a, n, am)) - int(tail(b, n, bm))
}

func tail(name []byte, n int, m Mode) byte {
	if n < len(name) {
		return name[n]
	}
	if m == ModeDir {
		return '/'
	}
	return 0
}
