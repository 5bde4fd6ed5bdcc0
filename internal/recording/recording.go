// Package recording is the file behind --pcap: pcapng, one file or a ring of
// them, in which each packet's comment says what connection it belongs to, and,
// where its owner tells, what change of state and which commit it has caused.
package recording

import (
	"errors"
	"io"
	"os"
	"time"

	"arpeggio/arp"
	"arpeggio/stack"
	"arpeggio/stack/capture"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/vcs"
)

// File is a recording that is being written.
type File struct {
	Writer *capture.Writer
	closer io.Closer
}

// Create opens a recording at path: one file, or, with a size above zero, a
// ring of files of that many octets in all (see capture.Ring).
func Create(path string, size int64) (*File, error) {
	if size > 0 {
		ring, err := capture.OpenRing(path, size)
		if err != nil {
			return nil, err
		}
		w, err := capture.NewWriter(nil, capture.WriterConfig{Next: ring.Next, Piece: ring.Piece()})
		if err != nil {
			return nil, errors.Join(err, ring.Close())
		}
		return &File{w, ring}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w, err := capture.NewWriter(f, capture.WriterConfig{})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{w, f}, nil
}

// Close finishes the recording. The error is the first one that any part of it
// met. It may be called on nil.
func (f *File) Close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.Writer.Flush(), f.closer.Close())
}

// Notes records a device with comments. Its methods may be called on nil, which
// records nothing, and from any goroutine.
type Notes struct{ rec *capture.Recorder }

// Start begins to record to f, until Close. f stays the caller's to close.
func Start(f *File) *Notes {
	return &Notes{capture.NewRecorder(f.Writer, capture.RecorderConfig{Label: label, Noted: isARP})}
}

// Wrap returns dev with the recording around it.
func (n *Notes) Wrap(dev link.Device) link.Device { return n.rec.Wrap(dev) }

// Monitor returns what records the frames of a vnet.Switch.
func (n *Notes) Monitor() func(port string, frame []byte, at time.Time) { return n.rec.Monitor() }

// Close writes what waits.
func (n *Notes) Close() error {
	if n == nil {
		return nil
	}
	return n.rec.Close()
}

// Dropped returns how many frames were not recorded because the file could not
// keep up.
func (n *Notes) Dropped() uint64 {
	if n == nil {
		return 0
	}
	return n.rec.Dropped()
}

// TCP notes a change of state: at the frame that caused it, or, when a user or
// a timer did, at the next segment that tells the peer.
func (n *Notes) TCP(e stack.TCPEvent) {
	if n == nil {
		return
	}
	from := e.From.String()
	if e.From == tcp.Closed && e.To == tcp.SynReceived {
		from = "LISTEN"
	}
	note := from + " → " + e.To.String()
	switch {
	case e.Frame != 0: // else no frame has caused it
		n.rec.Note(e.Frame, note)
	case e.To == tcp.SynSent:
		n.rec.Await(connection("tcp", e.Local, e.Remote), uint8(tcp.SYN), note)
	case e.To == tcp.FinWait1, e.To == tcp.LastAck:
		n.rec.Await(connection("tcp", e.Local, e.Remote), uint8(tcp.FIN), note)
	case e.To == tcp.Closed && e.From != tcp.TimeWait:
		n.rec.Await(connection("tcp", e.Local, e.Remote), uint8(tcp.RST), note)
	}
}

// Commit notes a commit at the frame that it rests on.
func (n *Notes) Commit(id vcs.ID, c *arp.Change) {
	if n != nil {
		n.rec.NoteFrame(c.Evidence.Bytes(), c.Time, "commit "+id.String())
	}
}

// waitNote is how long a received frame waits for what it causes: a segment for
// the run loop that has it in hands, a claim for its commit. The machine may be
// busy with something else meanwhile.
const waitNote = capture.DefaultHold
