package packfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// maxPrefixed bounds the names that one prefix finds: whoever shortens an id
// that far does not want to read them all.
const maxPrefixed = 256

// IndexPrefix returns the names in a pack index (version 2) that begin with
// digits hexadecimal digits of prefix, in ascending order and at most 256 of
// them. It reads where the names lie and nothing else. The error wraps ErrIndex,
// or is the reader's.
func IndexPrefix(idx io.ReaderAt, prefix vcs.ID, digits int) ([]vcs.ID, error) {
	head := make([]byte, idxHeader)
	if err := readAt(idx, head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	if string(head[:4]) != "\xfftOc" || binary.BigEndian.Uint32(head[4:]) != 2 {
		return nil, fmt.Errorf("%w: it does not begin as one of version 2", ErrIndex)
	}
	fan := func(i int) int64 { return int64(binary.BigEndian.Uint32(head[8+4*i:])) }
	lo, end := int64(0), fan(255)
	if digits >= 2 {
		end = fan(int(prefix[0]))
		if prefix[0] > 0 {
			lo = fan(int(prefix[0]) - 1)
		}
	}
	var at vcs.ID
	name := func(i int64) error {
		if err := readAt(idx, at[:], idxHeader+i*20); err != nil {
			return fmt.Errorf("%w: %w", ErrIndex, err)
		}
		return nil
	}
	for hi := end; lo < hi; { // prefix is followed by zeros: it comes first
		mid := (lo + hi) / 2
		if err := name(mid); err != nil {
			return nil, err
		}
		if bytes.Compare(at[:], prefix[:]) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	var out []vcs.ID
	for ; lo < end && len(out) < maxPrefixed; lo++ {
		if err := name(lo); err != nil {
			return nil, err
		}
		if !BeginsWith(at, prefix, digits) {
			break
		}
		out = append(out, at)
	}
	return out, nil
}

// BeginsWith reports whether an id begins with the first digits hexadecimal
// digits, at most forty, of another.
func BeginsWith(id, prefix vcs.ID, digits int) bool {
	n := digits / 2
	return bytes.Equal(id[:n], prefix[:n]) && (digits%2 == 0 || id[n]>>4 == prefix[n]>>4)
}
