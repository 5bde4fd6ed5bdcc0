package vendors

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A table in a file is tableMagic and, compressed with deflate:
//
//	uvarint length of the source, source
//	uvarint number of names; for each its length and itself, in the order in
//	    which assignments name them
//	for assignments of 36, 28 and 24 bits:
//	    uvarint how many
//	    for each: uvarint its prefix less the one before
//	    for each: uvarint 0 for the first name that was not used yet, else 1 and
//	        the number of the name

const tableMagic = "arpvend1"

// Bounds of a table, so that a damaged one cannot ask for much.
const (
	maxTable       = 16 << 20
	maxAssignments = 1 << 20
)

// Encode returns a table with these assignments, in whatever order they come.
// Equal assignments, a source and a Go release give equal bytes. Ranges that several
// share get their names in alphabetical order.
func Encode(source string, all []Assignment) ([]byte, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Assignment) int {
		return cmp.Or(cmp.Compare(b.Bits, a.Bits), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Name, b.Name))
	})
	all = slices.Compact(all)
	joined := all[:0]
	for _, a := range all {
		if !slices.Contains(prefixBits[:], a.Bits) || a.Prefix>>a.Bits != 0 {
			return nil, fmt.Errorf("%w: %d bits of %x", ErrRegistry, a.Bits, a.Prefix)
		}
		if n := len(joined) - 1; n >= 0 && joined[n].Bits == a.Bits && joined[n].Prefix == a.Prefix {
			joined[n].Name += " / " + a.Name
			continue
		}
		joined = append(joined, a)
	}
	var names []byte
	numbers := make(map[string]int)
	var ranges []byte
	for _, bits := range prefixBits {
		of := slices.DeleteFunc(slices.Clone(joined), func(a Assignment) bool { return a.Bits != bits })
		ranges = binary.AppendUvarint(ranges, uint64(len(of)))
		last := uint64(0)
		for _, a := range of {
			ranges = binary.AppendUvarint(ranges, a.Prefix-last)
			last = a.Prefix
		}
		for _, a := range of {
			n, ok := numbers[a.Name]
			if ok {
				ranges = binary.AppendUvarint(ranges, uint64(n)+1)
				continue
			}
			numbers[a.Name] = len(numbers)
			names = appendText(names, a.Name)
			ranges = append(ranges, 0)
		}
	}
	plain := appendText(nil, source)
	plain = binary.AppendUvarint(plain, uint64(len(numbers)))
	plain = append(append(plain, names...), ranges...)

	out := bytes.NewBufferString(tableMagic)
	w, err := flate.NewWriter(out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Decode returns the table that Encode has written. The error wraps ErrRegistry.
func Decode(b []byte) (*Table, error) {
	t := &Table{}
	var err error
	t.once.Do(func() { err = t.decode(string(b)) })
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) decode(file string) error {
	rest, ok := strings.CutPrefix(file, tableMagic)
	if !ok {
		return fmt.Errorf("%w: it does not begin with %q", ErrRegistry, tableMagic)
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(rest)), maxTable))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRegistry, err)
	}
	p := parser{s: string(plain)}
	source := p.text()
	names := make([]string, 0, p.count())
	for len(names) < cap(names) {
		names = append(names, p.text())
	}
	fresh := 0
	var sizes [len(prefixBits)]size
	for i, bits := range prefixBits {
		n := p.count()
		s := size{make([]uint64, n), make([]string, n)}
		last := uint64(0)
		for k := range s.prefixes {
			d := p.uvarint()
			if k > 0 && d == 0 || d>>bits != 0 {
				p.bad = true
			}
			last += d
			s.prefixes[k] = last
		}
		p.bad = p.bad || last>>bits != 0
		for k := range s.names {
			v := p.uvarint()
			if v == 0 {
				fresh++
				v = uint64(fresh)
			}
			if p.bad || v > uint64(len(names)) {
				p.bad = true
				break
			}
			s.names[k] = names[v-1]
		}
		sizes[i] = s
	}
	if p.bad || p.s != "" {
		return fmt.Errorf("%w: what is in it makes no sense", ErrRegistry)
	}
	t.source, t.sizes = source, sizes
	return nil
}

// parser takes a table apart; after an error it returns zeros.
type parser struct {
	s   string
	bad bool
}

func (p *parser) uvarint() (v uint64) {
	for shift := uint(0); shift < 64 && len(p.s) > 0; shift += 7 {
		c := p.s[0]
		p.s = p.s[1:]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	p.bad, p.s = true, ""
	return 0
}

// count returns a number of things of at least an octet each.
func (p *parser) count() int {
	n := p.uvarint()
	if n > maxAssignments || n > uint64(len(p.s)) {
		p.bad, p.s = true, ""
		return 0
	}
	return int(n)
}

// text returns a name; it shares the memory of the others.
func (p *parser) text() string {
	n := p.uvarint()
	if n > uint64(len(p.s)) {
		p.bad, p.s = true, ""
		return ""
	}
	s := p.s[:n]
	p.s = p.s[n:]
	return s
}
