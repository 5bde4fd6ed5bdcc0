package capture

// readBatch is how many frames Label is asked about before the lock is taken again.
const readBatch = 64

// read asks Label about the frames that are in the queue and that nobody has read
// yet. The lock is not held meanwhile: the device goes on.
func (r *Recorder) read() {
	<-r.reading
	defer func() { r.reading <- struct{}{} }()
	var labels [readBatch]Label
	r.mu.Lock()
	defer r.mu.Unlock()
	for end := r.last(); r.fresh <= end; {
		r.unread = r.unread[:0]
		for tag := r.fresh; tag <= end && len(r.unread) < readBatch; tag++ {
			r.unread = append(r.unread, r.entry(tag).packet)
		}
		r.mu.Unlock()
		for i := range r.unread {
			if labels[i] = (Label{}); r.conf.Label != nil {
				labels[i] = r.conf.Label(r.unread[i].Direction, r.unread[i].Data)
			}
		}
		r.mu.Lock()
		for i := range r.unread { // still there: nobody writes what has not been read
			r.describe(r.fresh, labels[i])
			r.fresh++
		}
		clear(r.unread)
	}
}

// describe keeps what was read from a frame, and gives it what was waiting for it.
// The caller holds mu.
func (r *Recorder) describe(tag uint64, l Label) {
	e := r.entry(tag)
	e.label = l
	e.until = e.queued.Add(min(l.Wait, r.conf.Hold))
	if l.Key == "" {
		return
	}
	if r.places != nil {
		r.places[l.Key] = append(r.places[l.Key], tag)
	}
	if e.packet.Direction == Out {
		r.awaitedBy(e, tag)
	}
}
