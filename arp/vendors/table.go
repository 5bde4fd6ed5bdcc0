package vendors

import (
	_ "embed"
	"slices"
	"sync"

	"arpeggio/stack/ethernet"
)

//go:embed registry.bin
var registry string

// Table answers questions. The zero value has the embedded registry and is ready
// to use; it must not be copied after the first question. It is safe for
// concurrent use. A process needs one: taken apart, the registry is some 1.5 MB.
type Table struct {
	once   sync.Once
	source string
	sizes  [len(prefixBits)]size
}

// size holds the assignments of one size, by prefix.
type size struct {
	prefixes []uint64 // the first bits of the address, rising
	names    []string
}

// prefixBits are the sizes of assignments, the longest first, which is the order
// of a search.
var prefixBits = [...]uint{36, 28, 24}

// load takes the embedded registry apart, unless the table has another.
func (t *Table) load() {
	t.once.Do(func() {
		if err := t.decode(registry); err != nil {
			panic(err) // a test reads all of it
		}
	})
}

// Name returns who assigned or made a MAC address, such as "Intel Corporate",
// "QEMU/KVM" or "local"; the empty string when that is not known. It allocates
// nothing after the first call.
func (t *Table) Name(a ethernet.Addr) string {
	if name := special(a); name != "" || a.IsZero() {
		return name
	}
	t.load()
	v := number(a)
	for i, bits := range prefixBits {
		s := &t.sizes[i]
		if n, ok := slices.BinarySearch(s.prefixes, v>>(48-bits)); ok {
			return s.names[n]
		}
	}
	if a.IsLocal() {
		return Local
	}
	return ""
}

// Source returns where the registry comes from and of which date.
func (t *Table) Source() string {
	t.load()
	return t.source
}

// Len returns how many assignments the registry has.
func (t *Table) Len() (n int) {
	t.load()
	for i := range t.sizes {
		n += len(t.sizes[i].prefixes)
	}
	return n
}

// number returns an address as a number of 48 bits.
func number(a ethernet.Addr) (v uint64) {
	for _, o := range a {
		v = v<<8 | uint64(o)
	}
	return v
}
