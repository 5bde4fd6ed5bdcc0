package tuntap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// Bounds of a StreamWire.
const (
	// maxWireFrame is the largest frame that QEMU sends (NET_BUFSIZE in its
	// include/net/net.h); a larger length means that the other end speaks
	// something else.
	maxWireFrame = 4096 + 65536
	// wireQueue is how many received frames wait to be read.
	wireQueue = 1024
	// wireBacklog is how many octets wait to be sent.
	wireBacklog = 4 << 20
)

// StreamWire is the other end of QEMU's `-netdev stream` over a Unix socket: a
// link.Device whose frames travel as a 4-octet big-endian length followed by
// the frame. It has no offloads. One goroutine reads and one writes, so that
// neither side ever waits for the other; what finds no room is dropped.
type StreamWire struct {
	conn net.Conn
	info link.Info
	bell chan struct{} // capacity 1: something changed for Wait
	push chan struct{} // capacity 1: something changed for the writer
	wg   sync.WaitGroup

	rmu    sync.Mutex
	queue  [][]byte // ring, head first
	head   int
	n      int
	woken  bool
	closed bool
	err    error // why reading ended
	stats  Stats

	wmu    sync.Mutex
	out    []byte // waits for the writer
	werr   error  // why writing ended
	finish bool

	timer *time.Timer // of Wait
}

var _ link.Device = (*StreamWire)(nil)

// NewStreamWire starts a wire over conn, which it owns from then on. info
// describes it; a zero MTU means 1500 and its Caps are ignored.
func NewStreamWire(conn net.Conn, info link.Info) *StreamWire {
	if info.MTU == 0 {
		info.MTU = 1500
	}
	info.Caps = 0
	w := &StreamWire{
		conn:  conn,
		info:  info,
		bell:  make(chan struct{}, 1),
		push:  make(chan struct{}, 1),
		queue: make([][]byte, wireQueue),
	}
	w.wg.Add(2)
	go w.readLoop()
	go w.writeLoop()
	return w
}

// Info implements link.Device.
func (w *StreamWire) Info() link.Info { return w.info }

// Stats returns how many frames could not be moved.
func (w *StreamWire) Stats() Stats {
	w.rmu.Lock()
	defer w.rmu.Unlock()
	return w.stats
}

func (w *StreamWire) readLoop() {
	defer w.wg.Done()
	err := w.receive(bufio.NewReaderSize(w.conn, 64<<10))
	w.rmu.Lock()
	defer w.rmu.Unlock()
	w.err = err
	ring(w.bell)
}

// receive queues frames until the wire breaks, and says how it broke.
func (w *StreamWire) receive(r *bufio.Reader) error {
	var length [4]byte
	for {
		if _, err := io.ReadFull(r, length[:]); err != nil {
			if err == io.EOF {
				return fmt.Errorf("%w: %s: the other end closed it", ErrWire, w.info.Name)
			}
			return fmt.Errorf("%w: %s: %w", ErrWire, w.info.Name, err)
		}
		n := binary.BigEndian.Uint32(length[:])
		if n > maxWireFrame {
			return fmt.Errorf("%w: %s: a frame of %d octets is announced, at most %d are possible; "+
				"does the other end speak QEMU's stream framing?", ErrWire, w.info.Name, n, maxWireFrame)
		}
		if err := w.receiveFrame(r, int(n)); err != nil {
			return fmt.Errorf("%w: %s: in the middle of a frame: %w", ErrWire, w.info.Name, err)
		}
	}
}

// receiveFrame reads one frame into the queue, or past it when it is full.
func (w *StreamWire) receiveFrame(r *bufio.Reader, n int) error {
	w.rmu.Lock()
	slot := (w.head + w.n) % len(w.queue)
	var buf []byte
	switch {
	case n < ethernet.HeaderLen:
		w.stats.RxMalformed++
	case w.n == len(w.queue):
		w.stats.RxDropped++
	default:
		// Nobody else looks at a slot behind the queue's end.
		if buf = w.queue[slot]; cap(buf) < n {
			buf = make([]byte, max(n, smallHead))
		}
		buf = buf[:n]
	}
	w.rmu.Unlock()
	if buf == nil {
		_, err := r.Discard(n)
		return err
	}
	if _, err := io.ReadFull(r, buf); err != nil {
		return err
	}
	w.rmu.Lock()
	defer w.rmu.Unlock()
	w.queue[slot] = buf
	w.n++
	ring(w.bell)
	return nil
}

// ReadFrames implements link.Device. What arrived before the wire broke is
// delivered before the error.
func (w *StreamWire) ReadFrames(fs []link.Frame) (n int, err error) {
	w.rmu.Lock()
	defer w.rmu.Unlock()
	if w.closed {
		return 0, link.ErrClosed
	}
	for ; n < len(fs) && w.n > 0; n++ {
		fs[n].Reset()
		fs[n].Head = append(fs[n].Head, w.queue[w.head]...)
		w.head = (w.head + 1) % len(w.queue)
		w.n--
	}
	if n == 0 && len(fs) > 0 {
		return 0, w.err
	}
	return n, nil
}

// WriteFrames implements link.Device.
func (w *StreamWire) WriteFrames(fs []link.Frame) (int, error) {
	w.wmu.Lock()
	defer w.wmu.Unlock()
	for i := range fs {
		if w.finish {
			return i, link.ErrClosed
		}
		if w.werr != nil {
			return i, w.werr
		}
		f := &fs[i]
		if err := checkSize(f, w.info); err != nil {
			return i, err
		}
		if len(w.out)+4+f.Len() > wireBacklog {
			w.dropTx()
			continue
		}
		start := len(w.out) + 4
		w.out = binary.BigEndian.AppendUint32(w.out, uint32(f.Len()))
		w.out = f.AppendTo(w.out)
		if err := link.CompleteChecksum(w.out[start:], f.Csum); err != nil {
			w.out = w.out[:start-4]
			return i, err
		}
	}
	ring(w.push)
	return len(fs), nil
}

func (w *StreamWire) dropTx() {
	w.rmu.Lock()
	defer w.rmu.Unlock()
	w.stats.TxDropped++
}

// writeLoop sends what has gathered, all of it at once.
func (w *StreamWire) writeLoop() {
	defer w.wg.Done()
	var batch []byte
	for range w.push {
		w.wmu.Lock()
		batch, w.out = w.out, batch[:0]
		done := w.finish
		w.wmu.Unlock()
		if done {
			return
		}
		if len(batch) == 0 {
			continue
		}
		if _, err := w.conn.Write(batch); err != nil {
			w.wmu.Lock()
			w.werr = fmt.Errorf("%w: %s: %w", ErrWire, w.info.Name, err)
			w.wmu.Unlock()
			return
		}
	}
}

// Wait implements link.Device. It blocks on a channel and a timer only.
func (w *StreamWire) Wait(deadline time.Time) error {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		if w.timer == nil {
			w.timer = time.NewTimer(time.Until(deadline))
		} else {
			w.timer.Reset(time.Until(deadline))
		}
		defer w.timer.Stop()
		expired = w.timer.C
	}
	for {
		if ready, err := w.ready(); ready || err != nil {
			return err
		}
		select {
		case <-w.bell:
		case <-expired:
			return nil
		}
	}
}

func (w *StreamWire) ready() (bool, error) {
	w.rmu.Lock()
	defer w.rmu.Unlock()
	if w.closed {
		return true, link.ErrClosed
	}
	if w.woken || w.n > 0 {
		w.woken = false
		return true, nil
	}
	return w.err != nil, w.err
}

// Wake implements link.Device.
func (w *StreamWire) Wake() {
	w.rmu.Lock()
	defer w.rmu.Unlock()
	w.woken = true
	ring(w.bell)
}

// Close implements link.Device. It closes the connection and returns when both
// goroutines have ended.
func (w *StreamWire) Close() error {
	// Both directions end at once: who learns it from one finds the other closed.
	w.wmu.Lock()
	w.rmu.Lock()
	w.closed, w.finish = true, true
	ring(w.bell)
	ring(w.push)
	w.rmu.Unlock()
	w.wmu.Unlock()
	err := w.conn.Close()
	w.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
