package capture

import (
	"slices"
	"strings"
	"time"
)

// run writes the frames of the queue as they have waited long enough.
func (r *Recorder) run() {
	defer close(r.done)
	var batch []Packet
	for {
		var wait time.Duration
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
// their comments complete. Without one it tells how long to wait: 0 until
// something comes, below zero when nothing will.
func (r *Recorder) take(batch []Packet) (_ []Packet, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	n := 0
	queue := r.waiting()
	for n < len(queue) && n < maxBatch {
		e := &queue[n]
		r.describe(e, r.first+uint64(n))
		if left := e.until.Sub(now); left > 0 && !e.known && !r.closed && r.octets <= r.conf.Queue/2 {
			wait = max(left, leastPause)
			break
		}
		e.packet.Comment = strings.Join(e.notes, "; ")
		r.octets -= len(e.packet.Data) + FrameCost
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

// describe reads the frame itself, once, and takes what was waiting for it.
func (r *Recorder) describe(e *entry, tag uint64) {
	if e.labelled {
		return
	}
	e.labelled = true
	if r.conf.Label == nil {
		return
	}
	l := r.conf.Label(e.packet.Direction, e.packet.Data)
	r.place(e, tag, l)
	if l.Comment != "" {
		e.notes = slices.Insert(e.notes, 0, l.Comment)
	}
	e.until = e.queued.Add(min(l.Wait, r.conf.Hold))
	if l.Key == "" || e.packet.Direction != Out {
		return
	}
	r.forget(l.Key, func(a awaited) bool {
		if e.queued.Sub(a.at) > awaitLimit {
			r.unplaced++
			return true
		}
		if a.after >= tag || a.flags != 0 && a.flags&l.Flags == 0 {
			return false
		}
		e.notes = append(e.notes, a.note)
		return true
	})
}

// forget removes the notes that wait for a key and are done.
func (r *Recorder) forget(key string, done func(awaited) bool) {
	waiting := r.awaited[key]
	before := len(waiting)
	left := slices.DeleteFunc(waiting, done)
	r.nawait -= before - len(left)
	if len(left) == 0 {
		delete(r.awaited, key)
	} else {
		r.awaited[key] = left
	}
}

// sweep forgets, once in a while, the notes that no frame will find any more. The
// caller holds mu.
func (r *Recorder) sweep(now time.Time) {
	if r.nawait == 0 || now.Sub(r.swept) < awaitLimit {
		return
	}
	r.swept = now
	oldest := now // of the frames that may still find one
	for i, w := 0, r.waiting(); i < len(w); i++ {
		if !w[i].labelled {
			oldest = w[i].queued
			break
		}
	}
	for key := range r.awaited {
		r.forget(key, func(a awaited) bool {
			old := oldest.Sub(a.at) > awaitLimit
			if old {
				r.unplaced++
			}
			return old
		})
	}
}

// pause waits until the queue has something new, or for as long as wait says
// when it is above zero.
func (r *Recorder) pause(wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
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
