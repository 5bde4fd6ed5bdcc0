package capture

import "time"

// NoteReceived adds to the comment of the received frame with a key and a mark
// that came last before at, or first after it: for notes of somebody who has seen
// the same frame elsewhere, and whose clock may be a little off.
func (r *Recorder) NoteReceived(key string, mark uint64, at time.Time, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	r.describeAll()
	e := r.latest(r.places[key], at, func(e *entry) bool { return e.packet.Direction == In && e.label.Mark == mark })
	if e == nil {
		r.unplaced++
		return
	}
	e.notes = append(e.notes, note)
}

// NoteSent adds to the comment of the first frame that was sent since a second
// before at with a key and one of the flags; without one it is Await.
func (r *Recorder) NoteSent(key string, flags uint8, at time.Time, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes++
	r.describeAll()
	since := at.Add(-awaitLimit)
	for _, tag := range r.places[key] {
		if e := r.entry(tag); e.packet.Direction == Out && e.label.Flags&flags != 0 && !e.packet.Time.Before(since) {
			e.notes = append(e.notes, note)
			return
		}
	}
	r.await(key, flags, note)
}

// Unplaced counts notes that were lost before they came here.
func (r *Recorder) Unplaced(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes += n
	r.unplaced += n
}

// describeAll reads all frames that nobody has read yet: they are the last ones of
// the queue. The caller holds mu.
func (r *Recorder) describeAll() {
	w := r.waiting()
	n := len(w)
	for n > 0 && !w[n-1].labelled {
		n--
	}
	for ; n < len(w); n++ {
		r.describe(&w[n], r.first+uint64(n))
	}
}

// place remembers where the frames of a key are. The caller holds mu.
func (r *Recorder) place(e *entry, tag uint64, l Label) {
	if r.places != nil && l.Key != "" {
		e.label = l
		r.places[l.Key] = append(r.places[l.Key], tag)
	}
}

// unplace forgets the first frame of the queue, which is the first of its key. The
// caller holds mu.
func (r *Recorder) unplace(e *entry) {
	if e.label.Key == "" {
		return
	}
	if left := r.places[e.label.Key][1:]; len(left) > 0 {
		r.places[e.label.Key] = left
	} else {
		delete(r.places, e.label.Key)
	}
}
