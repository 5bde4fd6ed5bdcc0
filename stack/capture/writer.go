package capture

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"arpeggio/stack/link"
)

// WriterConfig configures NewWriter. The zero value works.
type WriterConfig struct {
	// SnapLen is how many octets are kept of each packet; 0 keeps all.
	SnapLen int
	// Application and Comment are written into the file's header; Application
	// is "arpeggio" when empty.
	Application, Comment string
	// Buffer is how many octets gather before they are written (default 64
	// KiB); Flush writes them earlier.
	Buffer int
	// Next, when not nil, returns where the recording goes on, once Piece octets
	// have been written to the present place or would be exceeded, and where it
	// begins. What it returns begins with the header and all interfaces, so
	// that each piece is a file of its own. See Ring.
	Next  func() (io.Writer, error)
	Piece int64
}

// Writer writes a pcapng file with nanosecond timestamps. Its methods may be
// called from any goroutine. After an error the Writer writes nothing more and
// returns that error from then on: a recording that fails must not disturb what
// it records.
type Writer struct {
	mu     sync.Mutex
	w      io.Writer
	conf   WriterConfig
	buf    []byte
	ifaces []Interface
	begun  int64 // octets of the present piece, those in buf included
	err    error
}

// NewWriter returns a Writer on w, which stays the caller's to close, after
// Flush. With WriterConfig.Next w is not used, and may be nil.
func NewWriter(w io.Writer, c WriterConfig) (*Writer, error) {
	if c.SnapLen < 0 || c.Buffer < 0 || c.Piece < 0 {
		return nil, errors.New("capture: SnapLen, Buffer and Piece cannot be negative")
	}
	if c.Application == "" {
		c.Application = "arpeggio"
	}
	if c.Buffer == 0 {
		c.Buffer = 64 << 10
	}
	cw := &Writer{w: w, conf: c}
	if c.Next != nil {
		cw.rotate()
	} else {
		cw.begin()
	}
	return cw, cw.Flush()
}

// begin writes what a file begins with.
func (w *Writer) begin() {
	w.buf = sectionBlock(w.buf, w.conf.Application, w.conf.Comment)
	for _, i := range w.ifaces {
		w.buf = interfaceBlock(w.buf, i)
	}
	w.begun = int64(len(w.buf))
}

// rotate goes on in the next place. w.buf is empty.
func (w *Writer) rotate() {
	next, err := w.conf.Next()
	if err != nil {
		w.err = fmt.Errorf("capture: %w", err)
		return
	}
	w.w = next
	w.begin()
}

// room sees that n more octets fit into the present piece, or goes on in the
// next one.
func (w *Writer) room(n int) error {
	if w.conf.Next != nil && w.err == nil && w.begun+int64(n) > w.conf.Piece {
		if w.flush() == nil {
			w.rotate()
		}
	}
	w.begun += int64(n)
	return w.err
}

// AddInterface describes an interface and returns its index. A zero LinkType
// means Ethernet; a SnapLen of 0 is the Writer's.
func (w *Writer) AddInterface(i Interface) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addInterface(i)
}

func (w *Writer) addInterface(i Interface) (int, error) {
	if i.LinkType == 0 {
		i.LinkType = LinkTypeEthernet
	}
	if i.SnapLen == 0 {
		i.SnapLen = w.conf.SnapLen
	}
	id := len(w.ifaces)
	block := interfaceBlock(nil, i)
	if err := w.room(len(block)); err != nil {
		return id, err
	}
	w.ifaces = append(w.ifaces, i)
	w.buf = append(w.buf, block...)
	return id, w.settle()
}

// WritePacket records p, whose Interface must have been added. A zero Time
// means now.
func (w *Writer) WritePacket(p Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Interface < 0 || p.Interface >= len(w.ifaces) {
		return fmt.Errorf("capture: packet of interface %d, %d were added", p.Interface, len(w.ifaces))
	}
	p.Length = max(p.Length, len(p.Data))
	return w.record(&p, &link.Frame{Head: p.Data})
}

// record appends one packet, with the octets of f; w.mu is held.
func (w *Writer) record(p *Packet, f *link.Frame) error {
	if w.err != nil {
		return w.err
	}
	at := p.Time
	if at.IsZero() {
		at = time.Now()
	}
	if err := w.room(packetLen(p, f, w.conf.SnapLen)); err != nil {
		return err
	}
	w.buf = packetBlock(w.buf, p, at, f, w.conf.SnapLen)
	return w.settle()
}

// statistics writes how many packets of an interface were seen, and how many of
// them are missing.
func (w *Writer) statistics(iface int, at time.Time, seen, dropped uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	block := statisticsBlock(nil, iface, at, seen, dropped)
	if err := w.room(len(block)); err != nil {
		return err
	}
	w.buf = append(w.buf, block...)
	return w.settle()
}

// settle writes the buffer when it is full.
func (w *Writer) settle() error {
	if len(w.buf) < w.conf.Buffer {
		return w.err
	}
	return w.flush()
}

// Flush writes what has gathered.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	if w.err == nil && len(w.buf) > 0 {
		if _, err := w.w.Write(w.buf); err != nil {
			w.err = fmt.Errorf("capture: %w", err)
		}
	}
	w.buf = w.buf[:0]
	return w.err
}

// Err returns the error that ended the recording, nil while it goes on.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
