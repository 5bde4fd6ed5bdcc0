package capture_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

func TestNotesOfFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, r, w, dev := recorder(t, capture.RecorderConfig{})
		tags := receive(w, dev, "a 1 100", "b 2 100", "arp 0 500", "arp 0 500")
		if !slices.Equal(tags, []uint64{1, 2, 3, 4}) {
			t.Fatalf("tags %v", tags)
		}
		r.Await("a", 4, "waits for its flag")
		send(t, dev, "a 1", "b 4", "a 12", "a 4")
		r.Note(tags[1], "opened")
		r.Note(tags[1], "and more")
		r.Note(99, "of nobody")
		r.NoteFrame([]byte("arp"), time.Now(), "commit 1")
		time.Sleep(time.Second)
		r.Note(tags[1], "too late")
		want := []string{"a", "b; opened; and more", "arp", "arp; commit 1", "a", "b", "a; waits for its flag", "a"}
		if got := comments(t, file.bytes()); !slices.Equal(got, want) {
			t.Errorf("comments %q\n   want %q", got, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Notes for connections that send nothing more are forgotten: others may come in
// their place, and notes that wait are bounded.
func TestStaleNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, r, w, dev := recorder(t, capture.RecorderConfig{})
		for i := range 5000 {
			r.Await(fmt.Sprint("k", i), 4, "stale")
		}
		r.Await("a", 4, "one too many")
		time.Sleep(1100 * time.Millisecond)
		r.Await("a", 4, "fresh")
		send(t, dev, "k7 4", "a 4")
		// A frame that is looked at late finds what was said in its time.
		receive(w, dev, "held 0 2000")
		r.Await("b", 4, "in time")
		r.Await("c", 4, "too early")
		time.Sleep(900 * time.Millisecond)
		send(t, dev, "b 4")
		time.Sleep(200 * time.Millisecond)
		send(t, dev, "c 4")
		time.Sleep(time.Minute)
		want := []string{"k7", "a; fresh", "held", "b; in time", "c"}
		if got := comments(t, file.bytes()); !slices.Equal(got, want) {
			t.Errorf("comments %q\n   want %q", got, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A frame for which there was no room has a tag that says so: nobody may take it
// for one that no device has brought. The queue is bounded in small frames, too.
func TestLostTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, w, dev := recorder(t, capture.RecorderConfig{Queue: 2 * (20 + capture.FrameCost)})
		tags := receive(w, dev, "a 0 1000", "b 0 1000", "c 0 1000")
		if !slices.Equal(tags, []uint64{1, 2, capture.Lost}) {
			t.Errorf("tags %v", tags)
		}
		r.Note(capture.Lost, "of nobody")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Only frames of the kind that may be noted are looked for, the last one before
// the time first.
func TestNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, r, w, dev := recorder(t, capture.RecorderConfig{Noted: func(f []byte) bool { return f[0] == 'n' }})
		receive(w, dev, "n1 0 2000", "x 0 2000")
		first := time.Now()
		time.Sleep(100 * time.Millisecond)
		receive(w, dev, "n1 0 2000")
		r.NoteFrame([]byte("x"), time.Now(), "of no kind")
		r.NoteFrame([]byte("n1"), first, "first")
		r.NoteFrame([]byte("n1"), time.Now(), "second")
		r.NoteFrame([]byte("n1"), first.Add(-time.Second), "before all")
		time.Sleep(3 * time.Second)
		r.NoteFrame([]byte("n1"), time.Now(), "too late")
		want := []string{"n1; first; before all", "x", "n1; second"}
		if got := comments(t, file.bytes()); !slices.Equal(got, want) {
			t.Errorf("comments %q\n   want %q", got, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A frame waits no longer than the bound, and those behind it not longer than
// it; what became known of it lets it go at once.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, r, w, dev := recorder(t, capture.RecorderConfig{Hold: 300 * time.Millisecond})
		defer r.Close()
		has := func(n int) {
			t.Helper()
			synctest.Wait()
			if got := comments(t, file.bytes()); len(got) != n {
				t.Errorf("after %v: %d written, want %d", time.Now(), len(got), n)
			}
		}
		receive(w, dev, "a 0 100000", "b 0 0", "c 0 100000")
		send(t, dev, "d")
		time.Sleep(299 * time.Millisecond)
		has(0)
		time.Sleep(2 * time.Millisecond)
		has(4)
		receive(w, dev, "e 0 100000")
		send(t, dev, "f")
		has(4)
		r.NoteFrame([]byte("e"), time.Now(), "known")
		has(6)
		receive(w, dev, "g 0 100000")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		has(7) // what comes later is not known
	})
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

func TestRing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t.pcapng")
	os.WriteFile(filepath.Join(dir, "t.x.pcapng"), []byte("not of the ring"), 0o600)
	next := byte(0)
	run := func(packets int) {
		ring, err := capture.OpenRing(path, capture.MinRing)
		if err != nil {
			t.Fatal(err)
		}
		w, err := capture.NewWriter(nil, capture.WriterConfig{Next: ring.Next, Piece: ring.Piece()})
		if err != nil {
			t.Fatal(err)
		}
		w.AddInterface(capture.Interface{Name: "a"})
		w.AddInterface(capture.Interface{Name: "b"})
		for range packets {
			data := make([]byte, 1400)
			data[0] = next
			next++
			if err := w.WritePacket(capture.Packet{Time: when, Interface: 1, Data: data, Comment: "in a ring"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := ring.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// check reads all files and returns how many packets they hold.
	check := func() (packets int) {
		files, _ := filepath.Glob(filepath.Join(dir, "t.0*.pcapng"))
		var total int64
		last := -1
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			total += int64(len(b))
			all, r := readAll(t, b)
			if is := r.Interfaces(); len(is) != 2 || is[1].Name != "b" || r.Stats().Truncated || r.Stats().Malformed > 0 {
				t.Errorf("%s: %+v %+v", f, is, r.Stats())
			}
			for _, p := range all {
				if p.Interface != 1 || p.Comment != "in a ring" || last >= 0 && byte(last+1) != p.Data[0] {
					t.Fatalf("%s: packet %d follows %d, %+v", f, p.Data[0], last, p)
				}
				last = int(p.Data[0])
			}
			packets += len(all)
			if tool, err := exec.LookPath("tcpdump"); err == nil {
				out, err := exec.Command(tool, "-nr", f).Output()
				if err != nil || bytes.Count(out, []byte("\n")) < len(all) {
					t.Errorf("tcpdump -r %s: %v, %d lines", f, err, bytes.Count(out, []byte("\n")))
				}
			}
		}
		if total > capture.MinRing {
			t.Errorf("%d octets in %d files", total, len(files))
		}
		if last >= 0 && byte(last+1) != next {
			t.Errorf("the last packet is %d, %d were written", last, next)
		}
		return packets
	}
	run(100)
	if n := check(); n != 100 {
		t.Errorf("%d packets of 100", n)
	}
	run(100) // goes on
	if n := check(); n != 200 {
		t.Errorf("%d packets of 200", n)
	}
	run(3000)
	if n := check(); n < 500 || n > 749 {
		t.Errorf("%d packets of 1400 octets in a ring of a MiB", n)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "t.x.pcapng")); err != nil || string(b) != "not of the ring" {
		t.Errorf("another file: %q, %v", b, err)
	}
	if _, err := capture.OpenRing(path, capture.MinRing-1); err == nil {
		t.Error("a ring without room is made")
	}
	if _, err := capture.OpenRing(filepath.Join(dir, "none", "t.pcapng"), capture.MinRing); err == nil {
		t.Error("a ring in a folder that does not exist")
	}
}

// marks labels frames by their octets: "key flags mark".
func marks(_ capture.Direction, frame []byte) (l capture.Label) {
	fmt.Sscanf(string(frame), "%s %d %d", &l.Key, &l.Flags, &l.Mark)
	l.Comment, l.Wait = string(frame), time.Minute
	return l
}

// Somebody elsewhere saw the same frames and tells later, by another clock.
func TestRemoteNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := new(locked)
		w, err := capture.NewWriter(file, capture.WriterConfig{})
		if err != nil {
			t.Fatal(err)
		}
		r := capture.NewRecorder(w, capture.RecorderConfig{Label: marks, Remote: true, Hold: 10 * time.Second})
		m := r.Monitor("own")
		start := time.Now()
		at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
		frame := func(port, text string) {
			m(port, []byte(text), time.Now())
			time.Sleep(time.Second)
		}
		frame("peer", "a 2 7")   // at 0
		frame("peer", "a 2 7")   // at 1000, the same again
		frame("own", "a 18 7")   // at 2000
		frame("peer", "b 16 7")  // at 3000
		frame("own", "a 17 9")   // at 4000
		frame("own", "a 17 9")   // at 5000, the same again
		frame("peer", "a 16 10") // at 6000
		synctest.Wait()
		r.NoteReceived("a", 7, at(1000), "second")  // the last one up to then
		r.NoteReceived("a", 7, at(-1), "first")     // nobody was before it
		r.NoteReceived("a", 7, at(8000), "late")    // the last one
		r.NoteReceived("b", 7, at(3000), "other")   // of another key
		r.NoteReceived("a", 9, at(4000), "nobody")  // it was sent, not received
		r.NoteReceived("c", 7, at(4000), "nobody")  // of no key
		r.NoteSent("a", 1, at(4500), "end")         // it went out before the note's time
		r.NoteSent("a", 4, at(7000), "reset")       // it comes later
		r.NoteSent("b", 1, at(7000), "never comes") // nor does this
		r.Unplaced(3)                               // lost on the way
		frame("own", "a 20 11")
		time.Sleep(15 * time.Second) // all is written
		r.NoteReceived("a", 10, at(6000), "too late")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{"a 2 7; first", "a 2 7; second; late", "a 18 7", "b 16 7; other", "a 17 9; end", "a 17 9", "a 16 10", "a 20 11; reset"}
		if got := comments(t, file.bytes()); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if st := r.Stats(); st != (capture.RecorderStats{Frames: 8, Notes: 13, NotesUnplaced: 7}) {
			t.Errorf("%+v", st)
		}
	})
}

// What is remembered of a key goes with its frames, whatever is asked between.
func TestRemoteNotesForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := capture.NewWriter(new(locked), capture.WriterConfig{})
		if err != nil {
			t.Fatal(err)
		}
		r := capture.NewRecorder(w, capture.RecorderConfig{Label: marks, Remote: true, Queue: 8192})
		m := r.Monitor("own")
		for i := range 200 { // the queue is half full after 15 frames
			m("peer", fmt.Appendf(nil, "%d 16 %d", i%3, i), time.Now())
			if i%5 == 0 {
				r.NoteReceived(fmt.Sprint(i%3), uint64(i), time.Now(), "now")
			}
			synctest.Wait()
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if st := r.Stats(); st.NotesUnplaced != 0 || st.FramesDropped != 0 || st.Notes != 40 {
			t.Errorf("%+v", st)
		}
	})
}
