package packfile

import "fmt"

// deltaSizes reads the two lengths at the head of a delta and returns the
// instructions.
func deltaSizes(delta []byte) (base, target uint64, rest []byte, err error) {
	if base, rest, err = readSize(delta); err != nil {
		return 0, 0, nil, err
	}
	target, rest, err = readSize(rest)
	return base, target, rest, err
}

func readSize(b []byte) (n uint64, rest []byte, err error) {
	for shift := 0; shift < 63; shift += 7 {
		if len(b) == 0 {
			break
		}
		c := b[0]
		b = b[1:]
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n, b, nil
		}
	}
	return 0, nil, fmt.Errorf("%w: bad length", ErrDelta)
}

// applyDelta applies a delta (gitformat-pack(5), "Deltified representation") to base.
// A result above limit is refused before it is made. It takes the place of out
// where that has about the size.
func applyDelta(out, base, delta []byte, limit int64) ([]byte, error) {
	from, to, ins, err := deltaSizes(delta)
	if err != nil {
		return nil, err
	}
	if from != uint64(len(base)) {
		return nil, fmt.Errorf("%w: made for a base of %d bytes, not %d", ErrDelta, from, len(base))
	}
	if to > uint64(limit) {
		return nil, fmt.Errorf("%w: an object of %d bytes (at most %d)", ErrLimit, to, limit)
	}
	// A delta of a few bytes may claim a large result, so room grows with use.
	if room := uint64(cap(out)); room < to || room > 2*to+64 {
		out = make([]byte, 0, min(to, firstRoom))
	}
	out = out[:0]
	for len(ins) > 0 {
		op := ins[0]
		ins = ins[1:]
		var from []byte
		switch {
		case op == 0:
			return nil, fmt.Errorf("%w: reserved instruction", ErrDelta)
		case op < 0x80: // insert
			if len(ins) < int(op) {
				return nil, fmt.Errorf("%w: it ends inside an instruction", ErrDelta)
			}
			from, ins = ins[:op], ins[op:]
		default: // copy
			var at, n int
			for i := range 7 {
				if op&(1<<i) == 0 {
					continue
				}
				if len(ins) == 0 {
					return nil, fmt.Errorf("%w: it ends inside an instruction", ErrDelta)
				}
				if i < 4 {
					at |= int(ins[0]) << (8 * i)
				} else {
					n |= int(ins[0]) << (8 * (i - 4))
				}
				ins = ins[1:]
			}
			if n == 0 {
				n = 0x10000
			}
			if at > len(base) || n > len(base)-at {
				return nil, fmt.Errorf("%w: it copies from beyond its base", ErrDelta)
			}
			from = base[at : at+n]
		}
		if uint64(len(from)) > to-uint64(len(out)) {
			return nil, fmt.Errorf("%w: the result is longer than %d bytes", ErrDelta, to)
		}
		out = append(out, from...)
	}
	if uint64(len(out)) != to {
		return nil, fmt.Errorf("%w: the result has %d bytes, not %d", ErrDelta, len(out), to)
	}
	return out, nil
}
