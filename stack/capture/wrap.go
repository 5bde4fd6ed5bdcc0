package capture

import (
	"fmt"
	"time"

	"arpeggio/stack/link"
)

// Wrap returns dev with a recorder: each frame that is read from it or that it
// takes is written to w, under an interface of its own named as the device is.
// Super-frames are recorded whole and partial checksums as they are, with a
// comment that says so. Before it waits for frames the device flushes w. What
// happens to w never concerns the device: ask w.Err.
func Wrap(dev link.Device, w *Writer) link.Device {
	info := dev.Info()
	id, _ := w.AddInterface(Interface{Name: info.Name, Description: describe(info)}) // an error stays in w.Err
	return &recorder{Device: dev, w: w, id: id}
}

func describe(i link.Info) string {
	if i.Addr.IsZero() {
		return fmt.Sprintf("MTU %d", i.MTU)
	}
	return fmt.Sprintf("%v, MTU %d", i.Addr, i.MTU)
}

type recorder struct {
	link.Device
	w  *Writer
	id int
}

// ReadFrames implements link.Device.
func (r *recorder) ReadFrames(f []link.Frame) (int, error) {
	n, err := r.Device.ReadFrames(f)
	r.record(In, f[:n], time.Time{})
	return n, err
}

// WriteFrames implements link.Device.
func (r *recorder) WriteFrames(f []link.Frame) (int, error) {
	at := time.Now() // an answer must not seem to come before its question
	n, err := r.Device.WriteFrames(f)
	r.record(Out, f[:n], at)
	return n, err
}

// Wait implements link.Device.
func (r *recorder) Wait(deadline time.Time) error {
	r.w.Flush()
	return r.Device.Wait(deadline)
}

// Close implements link.Device.
func (r *recorder) Close() error {
	r.w.Flush()
	return r.Device.Close()
}

// record writes the frames, at the time given or else when they came.
func (r *recorder) record(d Direction, fs []link.Frame, at time.Time) {
	if len(fs) == 0 {
		return
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	for i := range fs {
		f, when := &fs[i], at
		if when.IsZero() {
			when = f.Time
		}
		r.w.record(&Packet{Interface: r.id, Time: when, Direction: d, Length: f.Len(), Comment: offloads(f)}, f)
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
