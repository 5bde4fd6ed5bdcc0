package versioned

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Seen is what an observer knows about an address beside the history: when its
// holders were seen and how often. A refresh is no commit, so this is kept in a
// file of its own, the seen index.
type Seen struct {
	Key    arp.Key
	Owners []SeenOwner // newest first; at most 255
}

// SeenOwner is a MAC address that holds or held the address.
type SeenOwner struct {
	MAC         ethernet.Addr
	First, Last time.Time
	Frames      uint64
}

// SeenPath returns the file of the seen index of a branch, for a repository in a
// directory.
func SeenPath(dir, branch string) string { return branchFile(dir, "arp-seen", branch) }

// The file begins with seenMagic. What follows are batches: the length of a
// payload and its CRC-32C, four octets each with the lowest first, and the
// payload. That is a row of records:
//
//	uvarint length of the domain, domain
//	uvarint outer VLAN, uvarint inner VLAN
//	octet 4 or 16, address
//	octet number of owners, and for each, newest first:
//	    6 octets MAC
//	    varint first seen, Unix nanoseconds
//	    uvarint last seen, nanoseconds after that
//	    uvarint frames
//
// A later record of an address replaces an earlier one. What follows a batch
// that is torn or damaged does not count.
const seenMagic = "arpseen1"

// maxSeenBatch bounds a payload, and so what a reader needs.
const maxSeenBatch = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrSeen is wrapped by the error for a file that is no seen index, or a damaged
// one.
var ErrSeen = errors.New("versioned: not a seen index")

// LoadSeen reads a seen index. A file that is not there is an empty one. When
// the file is damaged it returns what stands before the damage, and an error that
// wraps ErrSeen. Of addresses beyond a limit the first ones are returned.
func LoadSeen(path string, limit int) (map[arp.Key][]SeenOwner, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[arp.Key][]SeenOwner{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := ReadSeen(f, limit)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return all, err
}

// ReadSeen is LoadSeen of an open file.
func ReadSeen(r io.Reader, limit int) (map[arp.Key][]SeenOwner, error) {
	all := make(map[arp.Key][]SeenOwner)
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil || string(head) != seenMagic {
		return all, fmt.Errorf("%w: it does not begin with %q", ErrSeen, seenMagic)
	}
	var buf []byte
	for {
		if _, err := io.ReadFull(r, head); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, fmt.Errorf("%w: it is cut off", ErrSeen)
		}
		n := binary.LittleEndian.Uint32(head)
		if n > maxSeenBatch {
			return all, fmt.Errorf("%w: a batch of %d octets", ErrSeen, n)
		}
		if cap(buf) < int(n) {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(r, buf); err != nil {
			return all, fmt.Errorf("%w: it is cut off", ErrSeen)
		}
		if crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return all, fmt.Errorf("%w: a batch does not match its checksum", ErrSeen)
		}
		for b := buf; len(b) > 0; {
			s, rest, ok := parseSeen(b)
			if !ok {
				return all, fmt.Errorf("%w: a record makes no sense", ErrSeen)
			}
			if _, have := all[s.Key]; have || len(all) < limit {
				all[s.Key] = s.Owners
			}
			b = rest
		}
	}
}

// appendSeen appends one record.
func appendSeen(b []byte, s *Seen) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.Key.Domain)))
	b = append(b, s.Key.Domain...)
	b = binary.AppendUvarint(b, uint64(s.Key.VLAN.Outer))
	b = binary.AppendUvarint(b, uint64(s.Key.VLAN.Inner))
	if s.Key.Addr.Is4() {
		a := s.Key.Addr.As4()
		b = append(append(b, 4), a[:]...)
	} else {
		a := s.Key.Addr.As16()
		b = append(append(b, 16), a[:]...)
	}
	owners := s.Owners[:min(len(s.Owners), 255)]
	b = append(b, byte(len(owners)))
	for i := range owners {
		o := &owners[i]
		b = append(b, o.MAC[:]...)
		first := o.First.UnixNano()
		b = binary.AppendVarint(b, first)
		b = binary.AppendUvarint(b, uint64(max(o.Last.UnixNano()-first, 0)))
		b = binary.AppendUvarint(b, o.Frames)
	}
	return b
}

// parseSeen reads one record.
func parseSeen(b []byte) (s Seen, rest []byte, ok bool) {
	p := seenParser{b: b}
	s.Key.Domain = string(p.take(p.uvarint(1 << 10)))
	s.Key.VLAN.Outer = uint16(p.uvarint(0xffff))
	s.Key.VLAN.Inner = uint16(p.uvarint(0xffff))
	n := p.octet()
	s.Key.Addr, _ = netip.AddrFromSlice(p.take(uint64(n)))
	if n != 4 && n != 16 {
		return s, nil, false
	}
	s.Owners = make([]SeenOwner, p.octet())
	for i := range s.Owners {
		o := &s.Owners[i]
		copy(o.MAC[:], p.take(6))
		first := p.varint()
		length := p.uvarint(1<<63 - 1)
		o.Frames = p.uvarint(1<<64 - 1)
		last := first + int64(length)
		if last < first {
			return s, nil, false
		}
		o.First, o.Last = time.Unix(0, first), time.Unix(0, last)
	}
	return s, p.b, !p.bad
}

// seenParser takes a record apart; after an error it returns zeros.
type seenParser struct {
	b   []byte
	bad bool
}

func (p *seenParser) take(n uint64) []byte {
	if p.bad || n > uint64(len(p.b)) {
		p.bad = true
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

func (p *seenParser) octet() byte {
	if v := p.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (p *seenParser) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(p.b)
	if p.bad || n <= 0 || v > most {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *seenParser) varint() int64 {
	v, n := binary.Varint(p.b)
	if p.bad || n <= 0 {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return v
}
