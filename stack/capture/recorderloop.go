package capture

import (
	"slices"
	"time"
)

// run writes the frames of the queue as they have waited long enough.
func (r *Recorder) run() {
	defer close(r.done)
	var batch []Packet
	for {
		var wait time.Duration
		r.read()
		batch, wait = r.take(batch[:0])
		for i := range batch {
			_ = r.w.WritePacket(batch[i]) // an error stays in w.Err
		}
		clear(batch)
		switch {
		case len(batch) > 0:
		case wait < 0:
			return
		default:
			_ = r.w.Flush()
			r.pause(wait)
		}
	}
}

// leastPause keeps a busy device from waking the writer for each of its frames.
const leastPause = 5 * time.Millisecond

// maxBatch is how many frames are written before the lock is taken again.
const maxBatch = 256

// take removes the frames from the front of the queue that wait no longer, with
// their comments complete; those that it gave before are written. Without one it
// tells how long to wait: 0 until something comes, below zero when nothing will.
func (r *Recorder) take(batch []Packet) (_ []Packet, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.octets -= r.written
	r.written = 0
	n, queue := 0, r.waiting()
	ready := min(len(queue), maxBatch, int(r.fresh-r.first)) // what is fresh has not been read
	for n < ready {
		e := &queue[n]
		if left := e.until.Sub(now); left > 0 && !e.known && !r.closed && r.octets-r.written <= r.conf.Queue/2 {
			wait = max(left, leastPause)
			break
		}
		e.packet.Comment = e.comment()
		r.noteOctets -= e.noteOctets
		r.written += len(e.packet.Data) + FrameCost + e.noteOctets
		r.unplace(e)
		batch = append(batch, e.packet)
		n++
	}
	clear(queue[:n])
	r.first += uint64(n)
	gone := 0
	for gone < len(r.noted) && r.noted[gone] < r.first {
		gone++
	}
	r.noted = slices.Delete(r.noted, 0, gone)
	r.sweep(now)
	if r.head += n; 2*r.head >= len(r.queue) {
		left := copy(r.queue, queue[n:])
		clear(r.queue[max(left, r.head):])
		r.queue, r.head = r.queue[:left], 0
	}
	if n == 0 && len(queue) == 0 && r.closed {
		wait = -1
	}
	return batch, wait
}

// pause waits until the queue has something new, or for as long as wait says
// when it is above zero.
func (r *Recorder) pause(wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed { // its signal may have come before
		return
	}
	if wait > 0 {
		t := time.AfterFunc(wait, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.more.Signal()
		})
		defer t.Stop()
		r.more.Wait()
		return
	}
	for len(r.waiting()) == 0 && !r.closed {
		r.more.Wait()
	}
}
