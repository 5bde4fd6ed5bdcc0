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
	"arpeggio/stack/ethernet"
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

// Stats counts what a recording took, and what not.
type Stats = capture.RecorderStats

// Notes records a device with comments. Its methods may be called from any
// goroutine.
type Notes struct{ rec *capture.Recorder }

// Start begins to record to f, until Close. f stays the caller's to close.
func Start(f *File) *Notes {
	return &Notes{capture.NewRecorder(f.Writer, capture.RecorderConfig{Label: label, Noted: isARP})}
}

// remoteHold is how long a frame waits for what a Reporter tells of it: a virtual
// machine may be slow.
const remoteHold = 5 * time.Second

// StartRemote is Start for frames whose notes come from a Reporter; see Remote.
func StartRemote(f *File) *Notes {
	return &Notes{capture.NewRecorder(f.Writer, capture.RecorderConfig{Label: label, Noted: isARP, Remote: true, Hold: remoteHold})}
}

// Wrap returns dev with the recording around it.
func (n *Notes) Wrap(dev link.Device) link.Device { return n.rec.Wrap(dev) }

// Monitor returns what records the frames of a vnet.Switch as the station at the
// port own, with this address, sees them.
func (n *Notes) Monitor(own string, addr ethernet.Addr) func(port string, frame []byte, at time.Time) {
	return n.rec.Monitor(own, addr)
}

// Close writes what waits.
func (n *Notes) Close() error { return n.rec.Close() }

// Stats returns the counters.
func (n *Notes) Stats() Stats { return n.rec.Stats() }

// TCP notes a change of state: at the frame that caused it, or, when a user or
// a timer did, at the next segment that tells the peer.
func (n *Notes) TCP(e stack.TCPEvent) {
	text, flags := describeTCP(e)
	switch {
	case e.Frame != 0:
		n.rec.Note(e.Frame, text)
	case flags != 0:
		n.rec.Await(connection("tcp", e.Local, e.Remote), uint8(flags), text)
	}
}

// describeTCP puts a change of state into words, and says by which flags a segment
// tells the peer of it; none does of one that no frame has caused and that needs
// no telling, such as the end of TIME-WAIT.
func describeTCP(e stack.TCPEvent) (text string, flags tcp.Flags) {
	from := e.From.String()
	if e.From == tcp.Closed && e.To == tcp.SynReceived {
		from = "LISTEN"
	}
	switch {
	case e.To == tcp.SynSent:
		flags = tcp.SYN
	case e.To == tcp.FinWait1, e.To == tcp.LastAck:
		flags = tcp.FIN
	case e.To == tcp.Closed && e.From != tcp.TimeWait:
		flags = tcp.RST
	}
	return from + " → " + e.To.String(), flags
}

// Commit notes a commit at the frame that it rests on.
func (n *Notes) Commit(id vcs.ID, c *arp.Change) {
	n.rec.NoteFrame(c.Evidence.Bytes(), c.Time, CommitText(id))
}

// CommitText is what comments say of a commit.
func CommitText(id vcs.ID) string { return "commit " + id.String() }

// waitNote is how long a received frame waits for what it causes: a segment for
// the run loop that has it in hands, a claim for its commit. The machine may be
// busy with something else meanwhile. RecorderConfig.Hold bounds it further.
const waitNote = remoteHold
