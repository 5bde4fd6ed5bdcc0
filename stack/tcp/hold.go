package tcp

// Held are buffers that connections gave back while their pool was holding.
// The zero value holds none.
type Held struct{ head *chunk }

// Hold makes p keep what is given back, and put off release functions, until
// the owner says Recycle. It is for an owner that emits under its lock and
// writes to the device after releasing it: the Data of the segments that it
// has queued then stay as they are although an acknowledgment arrives, or the
// connection ends, in between. Hold is called once, before p is used.
func (p *Pool) Hold() { p.holding = true }

// TakeHeld returns what was given back since the last call. Segments that were
// emitted before this call may refer to it; later ones do not.
func (p *Pool) TakeHeld() Held {
	h := Held{p.held}
	p.held = nil
	return h
}

// Recycle calls the release functions of what h holds and lends its buffers
// again. Every segment emitted before the TakeHeld that returned h has been
// written.
func (p *Pool) Recycle(h Held) {
	for c := h.head; c != nil; {
		next := c.next
		p.recycle(c)
		c = next
	}
}
