package capture

import (
	"fmt"
	"sync"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// Wrap returns dev with a recorder: each frame that is read from it or that it
// takes is recorded, under an interface of its own named as the device is.
// Super-frames are recorded whole and partial checksums as they are, with a
// comment that says so. What is read gets a Tag that Note knows, or Lost. What happens to
// the recording never concerns the device: ask the Writer's Err.
func (r *Recorder) Wrap(dev link.Device) link.Device {
	info := dev.Info()
	id, _ := r.AddInterface(Interface{Name: info.Name, Description: describe(info)}) // an error stays in w.Err
	return &recorded{Device: dev, r: r, id: id}
}

func describe(i link.Info) string {
	if i.Addr.IsZero() {
		return fmt.Sprintf("MTU %d", i.MTU)
	}
	return fmt.Sprintf("%v, MTU %d", i.Addr, i.MTU)
}

type recorded struct {
	link.Device
	r  *Recorder
	id int
}

// ReadFrames implements link.Device.
func (d *recorded) ReadFrames(f []link.Frame) (int, error) {
	n, err := d.Device.ReadFrames(f)
	d.record(In, f[:n], time.Time{})
	return n, err
}

// WriteFrames implements link.Device.
func (d *recorded) WriteFrames(f []link.Frame) (int, error) {
	at := time.Now() // an answer must not seem to come before its question
	n, err := d.Device.WriteFrames(f)
	d.record(Out, f[:n], at)
	return n, err
}

// record queues the frames, at the time given or else when they came.
func (d *recorded) record(dir Direction, fs []link.Frame, at time.Time) {
	if len(fs) == 0 {
		return
	}
	now := time.Now()
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	for i := range fs {
		f, when := &fs[i], at
		if when.IsZero() {
			when = f.Time
		}
		if when.IsZero() {
			when = now
		}
		if tag := d.r.add(d.id, dir, when, now, f); dir == In {
			f.Tag = tag
		}
	}
}

// offloads says what a reader of the file should know about f.
func offloads(f *link.Frame) string {
	switch {
	case f.GSO.Type != link.GSONone:
		return fmt.Sprintf("super-frame, to be cut into segments of %d octets; checksum partial", f.GSO.Size)
	case f.Csum.State == link.CsumPartial:
		return "checksum partial"
	}
	return ""
}

// Monitor returns a function that records frames by the name of the port they
// came from, each port as an interface of its own. It fits
// vnet.Switch.Monitor. The recording is seen from the station at the port own:
// what comes from there it has sent, what others send to its address, or to many, it
// receives, and what passes between others has no direction. The zero address means
// that it receives all.
func (r *Recorder) Monitor(own string, addr ethernet.Addr) func(port string, frame []byte, at time.Time) {
	var mu sync.Mutex
	ports := make(map[string]int)
	return func(port string, frame []byte, at time.Time) {
		mu.Lock()
		id, ok := ports[port]
		if !ok {
			id, _ = r.AddInterface(Interface{Name: port}) // an error stays in w.Err
			ports[port] = id
		}
		mu.Unlock()
		d := In
		if port == own {
			d = Out
		} else if h, _, err := ethernet.Parse(frame); err == nil && !addr.IsZero() && h.Dst != addr && !h.Dst.IsMulticast() {
			d = Unknown
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.add(id, d, at, at, &link.Frame{Head: frame})
	}
}
