package tcp

// sendQueue holds the text from SND.UNA on, sent or not, as a list of chunks.
// Retransmission reads it again; an acknowledgment frees its front.
type sendQueue struct {
	head, tail *chunk
	cur        *chunk // where the last slice began: the next one is near
	start      Seq    // of the first octet held
	records    int32  // how many ends of records are held
	n          int    // octets held
}

// end returns the sequence number behind the last octet.
func (q *sendQueue) end() Seq { return q.start.Add(q.n) }

// write copies p, all of it, into the tail and new chunks.
func (q *sendQueue) write(pool *Pool, p []byte) {
	for len(p) > 0 {
		t := q.tail
		if t == nil || t.buf == nil || t.eor || len(t.data) == chunkSize {
			t = pool.get()
			t.data = t.buf[:0]
			q.push(t)
		}
		k := copy(t.buf[len(t.data):], p)
		t.data = t.buf[:len(t.data)+k]
		q.n += k
		p = p[k:]
	}
}

// writeRef appends p without copying it.
func (q *sendQueue) writeRef(pool *Pool, p []byte, release func()) {
	c := pool.getRef()
	c.data, c.release = p, release
	q.push(c)
	q.n += len(p)
}

func (q *sendQueue) push(c *chunk) {
	c.pos = q.end()
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
}

// advance frees what lies before seq.
func (q *sendQueue) advance(pool *Pool, seq Seq) {
	k := seq.Sub(q.start)
	if k <= 0 {
		return
	}
	k = min(k, q.n)
	q.start, q.n = q.start.Add(k), q.n-k
	for q.head != nil && q.head.pos.Add(len(q.head.data)).BeforeEq(q.start) {
		c := q.head
		q.head = c.next
		if q.cur == c {
			q.cur = nil
		}
		if q.tail == c {
			q.tail = nil
		}
		if c.eor {
			q.records--
		}
		pool.put(c)
	}
}

// drop empties the queue.
func (q *sendQueue) drop(pool *Pool) { q.advance(pool, q.end()) }

// slice appends to dst the pieces that hold the n octets from seq on, which
// the queue has, and returns how many octets they cover: fewer than n when dst
// has no capacity left.
func (q *sendQueue) slice(dst [][]byte, seq Seq, n int) ([][]byte, int) {
	c := q.at(seq)
	q.cur = c
	got := 0
	for c != nil && got < n && len(dst) < cap(dst) {
		p := c.data[seq.Add(got).Sub(c.pos):]
		p = p[:min(len(p), n-got)]
		if len(p) > 0 {
			dst = append(dst, p)
		}
		got += len(p)
		c = c.next
	}
	return dst, got
}

// at returns the chunk that holds the octet at seq, nil when none does.
func (q *sendQueue) at(seq Seq) *chunk {
	c := q.cur
	if c == nil || c.pos.After(seq) {
		c = q.head
	}
	for c != nil && c.pos.Add(len(c.data)).BeforeEq(seq) {
		c = c.next
	}
	return c
}

// endRecord makes what is held end a record.
func (q *sendQueue) endRecord() {
	if q.n > 0 && !q.tail.eor {
		q.tail.eor = true
		q.records++
	}
}

// record returns how many of the n octets from seq on may share a segment: those
// up to the end of a record, when one ends among them, else all.
func (q *sendQueue) record(seq Seq, n int) (most int, ends bool) {
	if q.records == 0 {
		return n, false
	}
	for c := q.at(seq); c != nil; c = c.next {
		k := c.pos.Add(len(c.data)).Sub(seq)
		if k > n {
			break
		}
		if c.eor {
			return k, true
		}
	}
	return n, false
}

// lastRecord returns where the last record of [from, to) begins, from when none
// ends before to.
func (q *sendQueue) lastRecord(from, to Seq) Seq {
	for {
		n, ends := q.record(from, to.Sub(from))
		if !ends || from.Add(n) == to {
			return from
		}
		from = from.Add(n)
	}
}
