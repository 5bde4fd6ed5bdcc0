package tcp

// recvQueue holds received text that the user has not read: n octets in order
// from rd on, and behind a gap what arrived too early, which spans tell. Its
// chunks lie on a grid of chunkSize sequence numbers and exist only where text
// arrived, so that a single early octet does not take a window of memory.
type recvQueue struct {
	head, tail, cur *chunk // sorted by pos
	rd              Seq    // the next octet that the user reads
	hurried         bool   // see Conn.Hurried; it has room here
	n               int    // octets in order
	lent            int    // chunks
	early           spanSet
}

// nxt returns RCV.NXT as far as text goes.
func (q *recvQueue) nxt() Seq { return q.rd.Add(q.n) }

// insert stores p at seq, which is not before nxt, within the window. Octets
// that are already there stay as they arrived first. It returns false when p
// was dropped because too many gaps are open.
func (q *recvQueue) insert(pool *Pool, seq Seq, p []byte) bool {
	end := seq.Add(len(p))
	if seq == q.nxt() && q.early.empty() {
		q.store(pool, seq, p)
		q.n += len(p)
		return true
	}
	if seq != q.nxt() && len(q.early.s) >= maxSpans && q.early.covered(seq.Add(-1), end.Add(1)) == 0 {
		return false
	}
	for at := seq; ; {
		from, to, ok := q.early.gap(at, end)
		if !ok {
			break
		}
		q.store(pool, from, p[from.Sub(seq):to.Sub(seq)])
		at = to
	}
	if seq != q.nxt() {
		q.early.add(seq, end)
		return true
	}
	// The text joins what follows it.
	for _, s := range q.early.s {
		if s.start.After(end) {
			break
		}
		end = maxSeq(end, s.end)
	}
	q.n = end.Sub(q.rd)
	q.early.trim(end)
	return true
}

// store copies p into the chunks that cover it.
func (q *recvQueue) store(pool *Pool, seq Seq, p []byte) {
	for len(p) > 0 {
		c := q.chunkAt(pool, seq)
		k := copy(c.buf[seq.Sub(c.pos):], p)
		p, seq = p[k:], seq.Add(k)
	}
}

// chunkAt returns the chunk that covers seq, making it when it is missing.
func (q *recvQueue) chunkAt(pool *Pool, seq Seq) *chunk {
	pos := seq &^ (chunkSize - 1)
	var prev *chunk
	c := q.head
	for _, near := range [2]*chunk{q.tail, q.cur} {
		if near != nil && near.pos.BeforeEq(pos) {
			c = near
			break
		}
	}
	for c != nil && c.pos.BeforeEq(pos) {
		if c.pos == pos {
			q.cur = c
			return c
		}
		prev, c = c, c.next
	}
	n := pool.get()
	q.lent++
	n.pos, n.next = pos, c
	if prev == nil {
		q.head = n
	} else {
		prev.next = n
	}
	if c == nil {
		q.tail = n
	}
	q.cur = n
	return n
}

// read moves octets that are in order to p.
func (q *recvQueue) read(pool *Pool, p []byte) int {
	p = p[:min(len(p), q.n)]
	got := 0
	for got < len(p) {
		c := q.head
		k := copy(p[got:], c.buf[q.rd.Sub(c.pos):])
		got += k
		q.consume(pool, k)
	}
	return got
}

// peek copies octets that are in order to p, from the n-th on, which is there.
func (q *recvQueue) peek(p []byte, n int) int {
	p = p[:min(len(p), q.n-n)]
	seq, got := q.rd.Add(n), 0
	for c := q.head; got < len(p); c = c.next {
		if !c.pos.Add(chunkSize).After(seq) {
			continue
		}
		k := copy(p[got:], c.buf[seq.Sub(c.pos):])
		got, seq = got+k, seq.Add(k)
	}
	return got
}

// at returns the octet at seq, which is there.
func (q *recvQueue) at(seq Seq) byte {
	c := q.head
	for !c.pos.Add(chunkSize).After(seq) {
		c = c.next
	}
	return c.buf[seq.Sub(c.pos)]
}

// consume moves rd on by k octets and frees the chunks before it.
func (q *recvQueue) consume(pool *Pool, k int) {
	q.rd, q.n = q.rd.Add(k), q.n-k
	for q.head != nil && (q.head.pos.Add(chunkSize).BeforeEq(q.rd) || q.n == 0 && q.early.empty()) {
		c := q.head
		q.head = c.next
		if q.cur == c {
			q.cur = nil
		}
		if q.tail == c {
			q.tail = nil
		}
		q.lent--
		pool.put(c)
	}
}

// dropEarly forgets what arrived out of order.
func (q *recvQueue) dropEarly(pool *Pool) {
	q.prune(pool, 0)
	q.early.clear()
	q.consume(pool, 0)
}

// prune gives up what arrived out of order, the farthest first, until no more
// than keep chunks are held, or those with text in order. It reports whether
// there was something to give up.
func (q *recvQueue) prune(pool *Pool, keep int) bool {
	var last *chunk // to stay
	c := q.head
	for i := 0; c != nil && (i < keep || c.pos.Before(q.nxt())); i++ {
		last, c = c, c.next
	}
	if c == nil || q.early.empty() {
		return false
	}
	q.early.remove(c.pos, q.early.max())
	if q.cur, q.tail = nil, last; last != nil {
		last.next = nil
	} else {
		q.head = nil
	}
	for c != nil {
		next := c.next
		q.lent--
		pool.put(c)
		c = next
	}
	return true
}
