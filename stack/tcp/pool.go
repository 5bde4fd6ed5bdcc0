package tcp

import "time"

// DefaultChallengeLimit is that of Pool.
const DefaultChallengeLimit = 10

// chunkSize is the unit in which queues take memory: a power of two, so that
// it divides the sequence space.
const chunkSize = 4 << 10

// maxPieces bounds the slices of one emitted segment, so that a device can
// gather them in one call.
const maxPieces = 64

// poolKeep is how many free chunks a pool holds on to; the rest goes to the
// garbage collector.
const poolKeep = 1024

// Pool lends the chunks that queues are made of, and the scratch segment that
// Output fills, to the connections of one owner. The zero value is ready. Like
// a Conn, it has no lock: connections that share one are under one lock.
type Pool struct {
	// Limit bounds the octets of memory that all queues hold together, save
	// for a few KiB that each of them may always have, and for what WriteRef
	// refers to. The nearer it comes, the less a queue may hold. Zero means no
	// bound.
	Limit int

	// ChallengeLimit is how many segments that need no answer for progress a
	// connection answers per ChallengePeriod, 1 to 255 (RFC 5961 §7; the numbers
	// are ours). They are counted per connection: a count shared by all tells an
	// attacker about the others. Zero means DefaultChallengeLimit and a second.
	ChallengeLimit  int
	ChallengePeriod time.Duration

	// Counters counts what the connections did. It is read, and by the owner
	// written where its comment says so, under the lock of the connections.
	Counters Counters

	// OnState, when not nil, is told of each change of a connection's state, from
	// inside of the call that changed it. It calls nothing of the Conn but Local
	// and Remote.
	OnState func(c *Conn, from, to State)

	lent int // chunks with storage that are in queues

	free  *chunk // with storage
	nfree int
	refs  *chunk // without storage, for WriteRef
	nrefs int

	sents [][]sent // free lists of what is in flight

	holding bool // see Hold
	held    *chunk

	seg    Segment
	pieces [maxPieces][]byte
}

// chunk is an element of a send or receive queue: storage of the pool's, or
// a reference to the user's.
type chunk struct {
	next    *chunk
	buf     *[chunkSize]byte // nil for a reference
	pos     Seq              // of the first octet
	data    []byte           // send queue: the text from pos on
	release func()           // send queue: called when a reference is given back
	eor     bool             // send queue: a record ends with data
}

func (p *Pool) get() *chunk {
	p.lent++
	c := p.free
	if c == nil {
		return &chunk{buf: new([chunkSize]byte)}
	}
	p.free, c.next = c.next, nil
	p.nfree--
	return c
}

// getSent lends an empty list, putSent takes it back.
func (p *Pool) getSent() []sent {
	if n := len(p.sents); n > 0 {
		l := p.sents[n-1]
		p.sents = p.sents[:n-1]
		return l
	}
	return make([]sent, 0, 8)
}

func (p *Pool) putSent(l []sent) {
	if len(p.sents) < poolKeep/8 && cap(l) <= 256 {
		p.sents = append(p.sents, l[:0])
	}
}

func (p *Pool) getRef() *chunk {
	c := p.refs
	if c == nil {
		return new(chunk)
	}
	p.refs, c.next = c.next, nil
	p.nrefs--
	return c
}

// put takes c back, for Recycle when the pool is holding.
func (p *Pool) put(c *chunk) {
	if c.buf != nil {
		p.lent--
	}
	if p.holding {
		c.next, p.held = p.held, c
		return
	}
	p.recycle(c)
}

// recycle releases what c referred to and keeps c for the next user.
func (p *Pool) recycle(c *chunk) {
	if c.release != nil {
		c.release()
		c.release = nil
	}
	c.data, c.eor = nil, false
	switch {
	case c.buf == nil && p.nrefs < poolKeep:
		c.next, p.refs = p.refs, c
		p.nrefs++
	case c.buf != nil && p.nfree < poolKeep:
		c.next, p.free = p.free, c
		p.nfree++
	}
}
