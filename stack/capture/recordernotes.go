package capture

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// awaited is a note for the next frame that is sent.
type awaited struct {
	after uint64 // the tag of the last frame that it is not for
	at    time.Time
	flags uint8
	note  string
}

// Bounds of the notes that wait for a frame: in number, and in time, since some
// connections never send again and others come in their place.
const (
	maxAwaited = 4096
	awaitLimit = time.Second
)

// awaitedCost is what a note that waits for a frame takes beside itself, its key
// and NoteCost.
const awaitedCost = 192

// Note adds to the comment of the frame with a tag, unless it is written.
func (r *Recorder) Note(tag uint64, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	if tag < r.first || tag > r.last() {
		r.unplaced++
		return
	}
	r.attach(r.entry(tag), note)
}

// attach adds to the comment of a frame, if there is room. The caller holds mu.
func (r *Recorder) attach(e *entry, note string) {
	if !r.room(len(note) + NoteCost) {
		r.unplaced++
		return
	}
	r.put(e, note)
}

// put adds to the comment of a frame. The caller holds mu.
func (r *Recorder) put(e *entry, note string) {
	e.notes = append(e.notes, note)
	e.noteOctets += len(note) + NoteCost
	r.charge(len(note) + NoteCost)
}

// room says whether the queue takes so many octets of notes more. The caller holds
// mu.
func (r *Recorder) room(n int) bool {
	return r.noteOctets+n <= r.conf.Queue/4 && r.octets+n <= r.conf.Queue
}

// charge counts octets of notes, below zero when they are gone. The caller holds mu.
func (r *Recorder) charge(n int) {
	r.noteOctets += n
	r.octets += n
}

// NoteFrame adds to the comment of the received frame that begins with the given
// octets and came last before at: the one that has led to what the note tells.
// That frame then waits for nothing more.
func (r *Recorder) NoteFrame(frame []byte, at time.Time, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	best := r.latest(r.noted, at, func(e *entry) bool { return bytes.HasPrefix(e.packet.Data, frame) })
	if best == nil {
		r.unplaced++
		return
	}
	r.attach(best, note)
	best.known = true
	r.more.Signal()
}

// latest returns, of the frames with these tags that are meant, the last one up to
// at, else the first one after it, else nil. The caller holds mu.
func (r *Recorder) latest(tags []uint64, at time.Time, meant func(*entry) bool) (best *entry) {
	for _, tag := range slices.Backward(tags) {
		e := r.entry(tag)
		if !meant(e) {
			continue
		}
		if best = e; !e.packet.Time.After(at) {
			break
		}
	}
	return best
}

// Await adds to the comment of the next frame that is sent within a second whose
// Label has the key and one of the flags, or any when flags is zero.
func (r *Recorder) Await(key string, flags uint8, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	r.await(key, awaited{r.last(), time.Now(), flags, note})
}

// await remembers a note for a frame to come. The caller holds mu.
func (r *Recorder) await(key string, a awaited) {
	r.sweep(a.at)
	if r.closed || r.nawait == maxAwaited || !r.room(awaitCost(key, a)) {
		r.unplaced++
		return
	}
	r.nawait++
	r.charge(awaitCost(key, a))
	r.awaited[key] = append(r.awaited[key], a)
}

func awaitCost(key string, a awaited) int { return len(key) + len(a.note) + awaitedCost + NoteCost }

// awaitedBy takes the notes that waited for a sent frame. The caller holds mu.
func (r *Recorder) awaitedBy(e *entry, tag uint64) {
	r.forget(e.label.Key, func(a awaited) bool {
		if e.queued.Sub(a.at) > awaitLimit {
			r.unplaced++
			return true
		}
		if a.after >= tag || a.flags != 0 && a.flags&e.label.Flags == 0 {
			return false
		}
		r.put(e, a.note) // for which forget gives back more than this takes
		return true
	})
}

// forget removes the notes that wait for a key and are done.
func (r *Recorder) forget(key string, done func(awaited) bool) {
	left := slices.DeleteFunc(r.awaited[key], func(a awaited) bool {
		if !done(a) {
			return false
		}
		r.nawait--
		r.charge(-awaitCost(key, a))
		return true
	})
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
	if r.fresh <= r.last() {
		oldest = r.entry(r.fresh).queued
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

// comment returns what stands beside a frame.
func (e *entry) comment() string {
	parts := make([]string, 0, 2+len(e.notes))
	for _, text := range []string{e.label.Comment, e.offloads} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(append(parts, e.notes...), "; ")
}
