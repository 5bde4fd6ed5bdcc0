package capture_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/capture"
	"arpeggio/stack/link"
)

// wire is a device whose frames are given and kept.
type wire struct {
	in  []link.Frame
	out int
}

func (w *wire) Info() link.Info { return link.Info{Name: "w", MTU: 1500} }
func (w *wire) ReadFrames(f []link.Frame) (int, error) {
	n := copy(f, w.in)
	w.in = w.in[n:]
	return n, nil
}
func (w *wire) WriteFrames(f []link.Frame) (int, error) { w.out += len(f); return len(f), nil }
func (w *wire) Wait(time.Time) error                    { return nil }
func (w *wire) Wake()                                   {}
func (w *wire) Close() error                            { return nil }

// text labels frames by their octets: "key flags wait".
func text(_ capture.Direction, frame []byte) (l capture.Label) {
	var ms int
	fmt.Sscanf(string(frame), "%s %d %d", &l.Key, &l.Flags, &ms)
	l.Comment, l.Wait = l.Key, time.Duration(ms)*time.Millisecond
	return l
}

// comments reads a recording.
func comments(t *testing.T, file []byte) (out []string) {
	t.Helper()
	all, _ := readAll(t, file)
	for _, p := range all {
		out = append(out, p.Comment)
	}
	return out
}

type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

func recorder(t *testing.T, c capture.RecorderConfig) (*locked, *capture.Recorder, *wire, link.Device) {
	t.Helper()
	file, dev := new(locked), new(wire)
	w, err := capture.NewWriter(file, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c.Label = text
	r := capture.NewRecorder(w, c)
	return file, r, dev, r.Wrap(dev)
}

func send(t *testing.T, dev link.Device, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if n, err := dev.WriteFrames([]link.Frame{{Head: []byte(s)}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
}

func receive(w *wire, dev link.Device, texts ...string) (tags []uint64) {
	for _, s := range texts {
		w.in = append(w.in, link.Frame{Head: []byte(s)})
	}
	f := make([]link.Frame, len(texts))
	n, _ := dev.ReadFrames(f)
	for i := range f[:n] {
		tags = append(tags, f[i].Tag)
	}
	return tags
}

// What finds the queue full is not recorded, the device is not kept waiting, and
// the file says how much is missing and where.
func TestRecorderCannotKeepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, r, w, dev := recorder(t, capture.RecorderConfig{Queue: 2 * (450 + capture.FrameCost)})
		long := "x 0 1000" + strings.Repeat(" ", 392)
		receive(w, dev, long) // held
		synctest.Wait()
		// In one go: one more fits.
		if n, err := dev.WriteFrames(slices.Repeat([]link.Frame{{Head: []byte(long)}}, 4)); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if w.out != 4 {
			t.Fatalf("%d frames left", w.out)
		}
		synctest.Wait()
		send(t, dev, "y")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		all, rd := readAll(t, file.bytes())
		var lost uint64
		for _, p := range all {
			lost += p.Dropped
		}
		if len(all) != 3 || lost != 3 || lost != r.Stats().FramesDropped {
			t.Errorf("%d recorded, %d lost, %d counted", len(all), lost, r.Stats().FramesDropped)
		}
		if rd.Stats().Skipped != 1 {
			t.Errorf("%d blocks of statistics", rd.Stats().Skipped)
		}
	})
}

// The file takes nothing for a while: frames are dropped and counted, and the
// next packet that is recorded says how many.
func TestDropCount(t *testing.T) {
	file := &slow{gate: make(chan struct{})}
	w, err := capture.NewWriter(file, capture.WriterConfig{Buffer: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := capture.NewRecorder(w, capture.RecorderConfig{Queue: 100 + capture.FrameCost})
	dev := r.Wrap(new(wire))
	file.shut.Store(true)
	for range 10 {
		send(t, dev, strings.Repeat("z", 60))
	}
	dropped := r.Stats().FramesDropped
	if dropped < 8 { // one is being written, one fits
		t.Errorf("%d were dropped", dropped)
	}
	close(file.gate)
	for range 1000 { // until there is room again
		send(t, dev, "y")
		if r.Stats().FramesDropped == dropped {
			break
		}
		dropped = r.Stats().FramesDropped
		time.Sleep(time.Millisecond)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	all, _ := readAll(t, file.b.Bytes())
	var lost uint64
	for _, p := range all {
		lost += p.Dropped
	}
	if lost != dropped || r.Stats().FramesDropped != dropped {
		t.Errorf("the file says %d, %d were dropped", lost, r.Stats().FramesDropped)
	}
}

// slow is a file that takes nothing while it is shut, until its gate opens.
type slow struct {
	shut atomic.Bool
	gate chan struct{}
	b    bytes.Buffer
}

func (s *slow) Write(p []byte) (int, error) {
	if s.shut.Load() {
		<-s.gate
	}
	return s.b.Write(p)
}
