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
	ifaces int
	ports  map[string]int // of Monitor
	err    error
}

// NewWriter returns a Writer on w, which stays the caller's to close, after
// Flush.
func NewWriter(w io.Writer, c WriterConfig) (*Writer, error) {
	if c.SnapLen < 0 || c.Buffer < 0 {
		return nil, errors.New("capture: SnapLen and Buffer cannot be negative")
	}
	if c.Application == "" {
		c.Application = "arpeggio"
	}
	if c.Buffer == 0 {
		c.Buffer = 64 << 10
	}
	cw := &Writer{w: w, conf: c, ports: make(map[string]int)}
	cw.buf = sectionBlock(cw.buf, c.Application, c.Comment)
	return cw, cw.Flush()
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
	id := w.ifaces
	w.ifaces++
	w.buf = interfaceBlock(w.buf, i)
	return id, w.settle()
}

// WritePacket records p, whose Interface must have been added. A zero Time
// means now.
func (w *Writer) WritePacket(p Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Interface < 0 || p.Interface >= w.ifaces {
		return fmt.Errorf("capture: packet of interface %d, %d were added", p.Interface, w.ifaces)
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
	w.buf = packetBlock(w.buf, p, at, f, w.conf.SnapLen)
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

// Monitor returns a function that records frames by the name of the port they
// came from, each port as an interface of its own. It fits
// vnet.Switch.Monitor.
func (w *Writer) Monitor() func(port string, frame []byte, at time.Time) {
	return func(port string, frame []byte, at time.Time) {
		w.mu.Lock()
		defer w.mu.Unlock()
		id, ok := w.ports[port]
		if !ok {
			id, _ = w.addInterface(Interface{Name: port}) // an error stays in w.err
			w.ports[port] = id
		}
		w.record(&Packet{Interface: id, Time: at, Direction: In, Length: len(frame)}, &link.Frame{Head: frame})
	}
}
