package capture

import "time"

// NoteReceived adds to the comment of the received frame with a key and a mark
// that came last before at, or first after it: for notes of somebody who has seen
// the same frame elsewhere, and whose clock may be a little off.
func (r *Recorder) NoteReceived(key string, mark uint64, at time.Time, note string) {
	r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	e := r.latest(r.places[key], at, func(e *entry) bool { return e.packet.Direction == In && e.label.Mark == mark })
	if e == nil {
		r.unplaced++
		return
	}
	r.attach(e, note)
}

// NoteSent adds to the comment of the first frame that was sent since a second
// before at with a key and one of the flags; without one it is Await.
func (r *Recorder) NoteSent(key string, flags uint8, at time.Time, note string) {
	r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	since := at.Add(-awaitLimit)
	for _, tag := range r.places[key] {
		if e := r.entry(tag); e.packet.Direction == Out && e.label.Flags&flags != 0 && !e.packet.Time.Before(since) {
			r.attach(e, note)
			return
		}
	}
	r.await(key, awaited{r.fresh - 1, time.Now(), flags, note})
}

// Unplaced counts notes that were lost before they came here.
func (r *Recorder) Unplaced(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes += n
	r.unplaced += n
}

// unplace forgets the first frame of the queue, which is the first of its key. The
// caller holds mu.
func (r *Recorder) unplace(e *entry) {
	if r.places == nil || e.label.Key == "" {
		return
	}
	if left := r.places[e.label.Key][1:]; len(left) > 0 {
		r.places[e.label.Key] = left
	} else {
		delete(r.places, e.label.Key)
	}
}
