package ipv4

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// What a Reassembler does unless its Config says otherwise.
const (
	DefaultReassemblyTimeout = 60 * time.Second // RFC 1122 §3.3.2: 60 to 120 s; what floods take is bounded by the caps, not by time
	DefaultMaxBytes          = 4 << 20
	DefaultMaxBytesPerSource = 1 << 20
	DefaultMaxDatagrams      = 1024
)

// Memory that an incomplete datagram and each fragment are charged besides
// their octets, so that floods of tiny fragments meet the caps too.
const (
	datagramCost = 256
	fragmentCost = 64
)

// maxParts bounds the fragments of one datagram: those of the largest one where
// packets have 68 octets, the least MTU (RFC 791 §3.2). Without it, eight octets at a
// time, and backwards, cost the processor much more than the sender.
const maxParts = (MaxLen - MinHeaderLen + 47) / 48

// fairShare is the part of MaxDatagrams, one in so many, below which a source
// does not make room for itself: under a flood from invented sources, which fills
// the table, one that sends several datagrams at a time would lose them all.
const fairShare = 16

// ReassemblerConfig bounds a Reassembler. The zero value takes the defaults.
type ReassemblerConfig struct {
	Timeout           time.Duration // from the first fragment to arrive
	MaxBytes          int           // memory for all incomplete datagrams
	MaxBytesPerSource int           // memory for those of one source address
	MaxDatagrams      int           // incomplete datagrams
}

// Reassembler puts datagrams together from their fragments (RFC 791 §3.2,
// RFC 815). A pure engine: it is told the time and is not safe for concurrent
// use. The zero value is not usable; call NewReassembler.
//
// Overlaps are handled as RFC 5722 §4 demands for IPv6: the whole datagram is
// dropped, and so is whatever else arrives of it before the time-out. Exact
// duplicates are harmless and ignored. At a cap the oldest incomplete datagram
// makes room: of the source that asks for it when that has much already, so that
// a flood displaces itself first, else of all.
type Reassembler struct {
	cfg     ReassemblerConfig
	table   map[key]*datagram
	sources map[netip.Addr]usage
	bytes   int
	head    *datagram // oldest first, hence also in the order of deadlines
	tail    *datagram
	evicted uint64
}

// usage is what the incomplete datagrams of one source take.
type usage struct{ bytes, datagrams int }

type key struct {
	link     uint32
	src, dst netip.Addr
	id       uint16
	proto    Proto
}

type datagram struct {
	key        key
	deadline   time.Time
	first      Header // of the fragment with offset 0
	ecn        ecnSet
	opts       []byte
	parts      []part // by offset, disjoint
	have       int    // octets in parts
	total      int    // length of the whole payload, -1 until the last fragment came
	cost       int
	dead       bool // overlapped: hold no data, accept nothing
	prev, next *datagram
}

type part struct {
	off  int
	data []byte
}

func (p part) end() int { return p.off + len(p.data) }

// ecnSet is which ECN codepoints the fragments of a datagram carry.
type ecnSet uint8

const (
	notECT = 1 << 0
	ce     = 1 << 3
)

// join returns the codepoint of the whole datagram, where that of the first
// fragment is first (RFC 3168 §5.3): congestion that one fragment met, all have
// met. A mark beside a fragment of a sender that knows no ECN is wrong.
func (s ecnSet) join(first uint8) (cp uint8, ok bool) {
	switch {
	case s&ce == 0:
		return first, true
	case s&notECT == 0:
		return 3, true
	}
	return 0, false
}

// Expired is a datagram whose time ran out. When Payload is not nil the first
// fragment had arrived, and a time exceeded message, code 1, quoting it is to
// be sent (RFC 792, RFC 1122 §3.3.2).
type Expired struct {
	Header  Header
	Options []byte
	Payload []byte
}

// NewReassembler returns an empty Reassembler.
func NewReassembler(cfg ReassemblerConfig) *Reassembler {
	setDefault(&cfg.Timeout, DefaultReassemblyTimeout)
	setDefault(&cfg.MaxBytes, DefaultMaxBytes)
	setDefault(&cfg.MaxBytesPerSource, min(DefaultMaxBytesPerSource, cfg.MaxBytes))
	setDefault(&cfg.MaxDatagrams, DefaultMaxDatagrams)
	return &Reassembler{cfg: cfg, table: map[key]*datagram{}, sources: map[netip.Addr]usage{}}
}

func setDefault[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Len returns the number of incomplete datagrams.
func (r *Reassembler) Len() int { return len(r.table) }

// Bytes returns the memory charged for the incomplete datagrams.
func (r *Reassembler) Bytes() int { return r.bytes }

// Evicted returns how many datagrams gave way to a cap since the beginning.
func (r *Reassembler) Evicted() uint64 { return r.evicted }

// Input takes a fragment as Parse returned it, which arrived on the given link;
// fragments of different links never meet. opts and payload are copied.
// When it completes a datagram, whole is that datagram's payload, the caller's
// to keep, and first and firstOpts are the header and options of its first
// fragment with MF clear. Otherwise whole is nil.
//
// ErrOverlap and ErrFragment mean that the datagram was dropped for good,
// ErrFragLimit that it exceeds a cap alone, ErrFragECN that the datagram
// was dropped because its fragments disagree on ECN.
func (r *Reassembler) Input(now time.Time, link uint32, h Header, opts, payload []byte) (first Header, firstOpts, whole []byte, err error) {
	k := key{link, h.Src, h.Dst, h.ID, h.Proto}
	d := r.table[k]
	if d != nil && !now.Before(d.deadline) {
		r.remove(d) // its time is up although Expire has not run yet
		d = nil
	}
	if d == nil {
		d = r.add(k, now)
	}
	if d.dead {
		return first, nil, nil, ErrOverlap
	}
	i, dup, err := d.place(h, payload)
	if err != nil {
		r.kill(d)
		return first, nil, nil, err
	}
	if dup {
		return first, nil, nil, nil
	}
	if !r.charge(d, len(payload)+len(opts)+fragmentCost) {
		return first, nil, nil, ErrFragLimit
	}
	d.parts = slices.Insert(d.parts, i, part{int(h.Offset), bytes.Clone(payload)})
	d.have += len(payload)
	d.ecn |= 1 << (h.TOS & 3)
	if !h.MF {
		d.total = int(h.Offset) + len(payload)
	}
	if h.Offset == 0 {
		d.first, d.opts = h, bytes.Clone(opts)
	}
	if d.have != d.total {
		return first, nil, nil, nil
	}
	r.remove(d)
	cp, ok := d.ecn.join(d.first.TOS & 3)
	if !ok {
		return first, nil, nil, ErrFragECN
	}
	whole = make([]byte, 0, d.total)
	for _, p := range d.parts {
		whole = append(whole, p.data...)
	}
	d.first.MF = false
	d.first.TOS = d.first.TOS&^3 | cp
	return d.first, d.opts, whole, nil
}

// place finds where the fragment goes among those that are there.
func (d *datagram) place(h Header, payload []byte) (i int, dup bool, err error) {
	off, end := int(h.Offset), int(h.Offset)+len(payload)
	if len(payload) == 0 || h.MF && len(payload)%8 != 0 || end+MinHeaderLen > MaxLen {
		return 0, false, ErrFragment
	}
	if n := len(d.parts); n > 0 && d.parts[n-1].end() <= off {
		i = n // the usual case: fragments come in order
	} else {
		i, _ = slices.BinarySearchFunc(d.parts, off, func(p part, off int) int { return p.off - off })
	}
	if i < len(d.parts) && d.parts[i].off < end {
		p := d.parts[i]
		last := p.end() == d.total
		if p.off == off && bytes.Equal(p.data, payload) && last == !h.MF {
			return i, true, nil
		}
		return 0, false, ErrOverlap
	}
	if i > 0 && d.parts[i-1].end() > off {
		return 0, false, ErrOverlap
	}
	// Fragments must agree on where the datagram ends.
	if d.total >= 0 && (end > d.total || !h.MF) {
		return 0, false, ErrFragment
	}
	if !h.MF && i < len(d.parts) {
		return 0, false, ErrFragment
	}
	if len(d.parts) == maxParts {
		return 0, false, ErrFragLimit
	}
	return i, false, nil
}

// Deadline returns when Expire is next due, zero when nothing waits.
func (r *Reassembler) Deadline() time.Time {
	if r.head == nil {
		return time.Time{}
	}
	return r.head.deadline
}

// Expire forgets the datagrams whose time is up at now and calls report for
// each that was still wanted.
func (r *Reassembler) Expire(now time.Time, report func(Expired)) {
	for d := r.head; d != nil && !now.Before(d.deadline); d = r.head {
		r.remove(d)
		if d.dead {
			continue
		}
		e := Expired{Header: Header{Src: d.key.src, Dst: d.key.dst, ID: d.key.id, Proto: d.key.proto}}
		if len(d.parts) > 0 && d.parts[0].off == 0 {
			e = Expired{d.first, d.opts, d.parts[0].data}
		}
		report(e)
	}
}

func (r *Reassembler) add(k key, now time.Time) *datagram {
	if len(r.table) >= r.cfg.MaxDatagrams {
		r.evict(r.victim(k.src))
	}
	d := &datagram{key: k, deadline: now.Add(r.cfg.Timeout), total: -1, prev: r.tail}
	if r.tail != nil {
		r.tail.next = d
	} else {
		r.head = d
	}
	r.tail = d
	r.table[k] = d
	r.account(d, datagramCost, 1)
	return d
}

// victim returns the oldest datagram of src when src has its fair share of them,
// else that of all.
func (r *Reassembler) victim(src netip.Addr) *datagram {
	if r.sources[src].datagrams >= max(1, r.cfg.MaxDatagrams/fairShare) {
		for d := r.head; d != nil; d = d.next {
			if d.key.src == src {
				return d
			}
		}
	}
	return r.head
}

// charge makes room for n more octets of d, evicting older datagrams. It
// reports false, and evicts d itself, when d alone would exceed a cap.
func (r *Reassembler) charge(d *datagram, n int) bool {
	if d.cost+n > r.cfg.MaxBytesPerSource || d.cost+n > r.cfg.MaxBytes {
		r.evict(d)
		return false
	}
	for o := r.head; o != nil && r.sources[d.key.src].bytes+n > r.cfg.MaxBytesPerSource; {
		next := o.next
		if o != d && o.key.src == d.key.src {
			r.evict(o)
		}
		o = next
	}
	for o := r.head; o != nil && r.bytes+n > r.cfg.MaxBytes; {
		next := o.next
		if o != d {
			r.evict(o)
		}
		o = next
	}
	r.account(d, n, 0)
	return true
}

// account notes n octets more or less for d, and datagrams more or less.
func (r *Reassembler) account(d *datagram, n, datagrams int) {
	d.cost += n
	r.bytes += n
	u := r.sources[d.key.src]
	u.bytes, u.datagrams = u.bytes+n, u.datagrams+datagrams
	if u.datagrams == 0 {
		delete(r.sources, d.key.src)
		return
	}
	r.sources[d.key.src] = u
}

func (r *Reassembler) evict(d *datagram) {
	r.evicted++
	r.remove(d)
}

// kill drops what has arrived of d and keeps only the memory of the offence.
func (r *Reassembler) kill(d *datagram) {
	d.dead, d.parts, d.opts, d.have = true, nil, nil, 0
	r.account(d, datagramCost-d.cost, 0)
}

func (r *Reassembler) remove(d *datagram) {
	delete(r.table, d.key)
	r.account(d, -d.cost, -1)
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		r.head = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		r.tail = d.prev
	}
	d.prev, d.next = nil, nil
}
