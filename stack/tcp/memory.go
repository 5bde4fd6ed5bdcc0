package tcp

// minShare is what a queue may hold however short memory is: a connection that
// its user reads, or that its peer acknowledges, goes on.
const minShare = 2 * chunkSize

// shareOfFree is the part of the free memory that one queue may take. With k
// greedy queues each gets Limit/(shareOfFree+k), so newcomers always find
// something free, and nobody has to give anything back (Choudhury and Hahne,
// "Dynamic queue length thresholds for shared-memory packet switches", 1998).
const shareOfFree = 8

// share returns how many octets a queue may hold at present.
func (p *Pool) share() int {
	if p.Limit <= 0 {
		return maxBuffer
	}
	return max(minShare, (p.Limit-p.lent*chunkSize)/shareOfFree)
}

// Lent returns the octets of memory that queues hold at present.
func (p *Pool) Lent() int { return p.lent * chunkSize }

// sendSpace returns the bound of the send queue.
func (c *Conn) sendSpace() int { return min(int(c.sndBuf), c.pool.share()) }

// recvSpace returns the bound of the receive queue: what the window promises.
func (c *Conn) recvSpace() int { return min(int(c.rcvBuf), c.pool.share()) }

// affordable returns the part of text at seq, which is not before RCV.NXT, for
// which there is memory. Windows are promised before others take the memory
// that they stand for; then the text is as good as lost on the way. Text that
// can be read at once gets minShare whatever waits behind a gap, and displaces
// that, the farthest first: RFC 2018 §8 lets a receiver go back on what it has
// reported, and the peer sends it again.
func (c *Conn) affordable(seq Seq, p []byte) []byte {
	room := c.pool.share() - c.rcvq.lent*chunkSize
	if seq == c.rcvNxt {
		room = max(room, minShare-c.rcvq.n)
		if over := (len(p) - room + chunkSize - 1) / chunkSize; over > 0 && c.rcvq.prune(c.pool, c.rcvq.lent-over) {
			c.pool.Counters.EarlyPruned++
			room = max(room, c.pool.share()-c.rcvq.lent*chunkSize)
		}
	}
	if len(p) <= room {
		return p
	}
	c.pool.Counters.TextRefused++
	c.ackDue = max(c.ackDue, 1)
	return p[:max(0, room)]
}
