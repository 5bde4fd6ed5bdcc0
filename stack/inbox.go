package stack

// inbox is what waits for the reader of a packet connection. The stack's lock
// guards it.
type inbox struct {
	queue   []datagram
	bytes   int
	max     int // of bytes; one datagram fits always
	dropped uint64
}

// datagram waits for the reader.
type datagram struct {
	Datagram
	data []byte
}

// Bounds of what waits for the reader.
const (
	datagramOverhead = 64   // charged for each datagram besides its octets
	maxDatagrams     = 4096 // of one socket
)

// put queues a copy of a datagram, and reports whether there was room.
func (q *inbox) put(d Datagram, data []byte) bool {
	if len(q.queue) >= maxDatagrams || q.bytes > 0 && q.bytes+len(data)+datagramOverhead > q.max {
		q.dropped++
		return false
	}
	d.Options = append([]byte(nil), d.Options...)
	q.queue = append(q.queue, datagram{d, append([]byte(nil), data...)})
	q.bytes += len(data) + datagramOverhead
	return true
}

// pop takes the datagram that has waited for longest.
func (q *inbox) pop() datagram {
	d := q.queue[0]
	q.queue[0] = datagram{}
	if q.queue = q.queue[1:]; len(q.queue) == 0 {
		q.queue = nil
	}
	q.bytes -= len(d.data) + datagramOverhead
	return d
}
