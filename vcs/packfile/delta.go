package packfile

import (
	"encoding/binary"
	"math/bits"

	"arpeggio/vcs"
)

// delta appends to out the instructions that make target from base (gitformat-pack(5),
// "Deltified representation"). Trees are compared entry by entry, other contents
// and trees of which only one id differs by their common beginning and end: what
// one change leaves.
func delta(out []byte, kind vcs.Kind, base, target []byte) []byte {
	out = appendSize(out, len(base))
	out = appendSize(out, len(target))
	head := commonPrefix(base, target)
	tail := commonSuffix(base[head:], target[head:])
	if kind == vcs.KindTree && len(target)-head-tail > len(vcs.ID{}) {
		return treeDelta(out, base, target)
	}
	out = appendCopy(out, 0, head)
	out = appendInsert(out, target[head:len(target)-tail])
	return appendCopy(out, len(base)-tail, tail)
}

// treeDelta copies runs of equal entries, and the equal beginning of an entry
// of which only the id differs.
func treeDelta(out, base, target []byte) []byte {
	var ins []byte        // target bytes to insert
	copyAt, copyN := 0, 0 // base bytes to copy, after which ins comes
	flush := func() {
		out = appendCopy(out, copyAt, copyN)
		out = appendInsert(out, ins)
		copyN, ins = 0, nil
	}
	keep := func(at, n int) {
		if n == 0 {
			return
		}
		if len(ins) > 0 || copyN > 0 && copyAt+copyN != at {
			flush()
		}
		if copyN == 0 {
			copyAt = at
		}
		copyN += n
	}
	t, b := 0, 0
	for t < len(target) {
		te, rest, err := nextEntry(target[t:])
		if err != nil {
			ins = append(ins, target[t:]...)
			break
		}
		tn := len(target) - len(rest) - t
		for b < len(base) {
			be, rest, err := nextEntry(base[b:])
			if err != nil {
				b = len(base)
				break
			}
			bn := len(base) - len(rest) - b
			d := compare(be, te)
			if d < 0 {
				b += bn
				continue
			}
			if d == 0 && be.mode == te.mode && bn == tn {
				n := bn
				if be.id != te.id {
					n -= len(be.id)
				}
				keep(b, n)
				b += bn
				t += n
				tn -= n
			}
			break
		}
		if tn > 0 {
			ins = append(ins, target[t:t+tn]...)
			t += tn
		}
	}
	flush()
	return out
}

func commonPrefix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for ; i < n && a[i] == b[i]; i++ {
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	a, b = a[len(a)-n:], b[len(b)-n:]
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[n-i-8:]) ^ binary.LittleEndian.Uint64(b[n-i-8:]); x != 0 {
			return i + bits.LeadingZeros64(x)/8
		}
	}
	for ; i < n && a[n-1-i] == b[n-1-i]; i++ {
	}
	return i
}

func appendSize(out []byte, n int) []byte {
	for n >= 0x80 {
		out = append(out, byte(n)|0x80)
		n >>= 7
	}
	return append(out, byte(n))
}

// maxCopy is the most that one copy instruction takes that version 2 packs
// allow everywhere.
const maxCopy = 0xffff

func appendCopy(out []byte, at, n int) []byte {
	for n > 0 {
		size := min(n, maxCopy)
		op := len(out)
		out = append(out, 0x80)
		for i := range 4 {
			if o := byte(at >> (8 * i)); o != 0 {
				out = append(out, o)
				out[op] |= 1 << i
			}
		}
		for i := range 2 {
			if o := byte(size >> (8 * i)); o != 0 {
				out = append(out, o)
				out[op] |= 0x10 << i
			}
		}
		at, n = at+size, n-size
	}
	return out
}

func appendInsert(out, b []byte) []byte {
	for len(b) > 0 {
		n := min(len(b), 0x7f)
		out = append(append(out, byte(n)), b[:n]...)
		b = b[n:]
	}
	return out
}
