package capture_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/capture"
	"arpeggio/stack/link"
)

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
		receive(w, dev, "x 0 2000", "n1 0 2000") // x holds up what is known of the others
		first := time.Now()
		time.Sleep(100 * time.Millisecond)
		receive(w, dev, "n1 0 2000")
		r.NoteFrame([]byte("x"), time.Now(), "of no kind")
		r.NoteFrame([]byte("n1"), first, "first")
		r.NoteFrame([]byte("n1"), time.Now(), "second")
		r.NoteFrame([]byte("n1"), first.Add(-time.Second), "before all")
		time.Sleep(3 * time.Second)
		r.NoteFrame([]byte("n1"), time.Now(), "too late")
		want := []string{"x", "n1; first; before all", "n1; second"}
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

// Notes have a bound in octets, beside that of the frames: whoever tells much, or
// tells of frames that never come, takes neither the memory nor the frames' room.
func TestNotesBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue = 64 << 10
		file, r, w, dev := recorder(t, capture.RecorderConfig{Queue: queue})
		long := strings.Repeat("n", 1000)
		tags := receive(w, dev, "a 0 1000", "b 0 1000")
		for range 100 {
			r.Note(tags[0], long)
			r.NoteFrame([]byte("b"), time.Now(), long)
			r.Await("c", 1, long)
		}
		placed := 300 - r.Stats().NotesUnplaced
		if placed < 12 || placed > queue/4/1000 {
			t.Errorf("%d notes of %d octets are kept in a queue of %d", placed, len(long), queue)
		}
		for range 40 { // three quarters are the frames'
			send(t, dev, "c 1"+strings.Repeat(" ", 400))
		}
		if st := r.Stats(); st.FramesDropped > 0 {
			t.Errorf("%+v", st)
		}
		time.Sleep(3 * time.Second) // all is written: there is room for notes again
		if got := strings.Count(strings.Join(comments(t, file.bytes()), " "), long); uint64(got) != placed {
			t.Errorf("%d notes of %d are in the file", got, placed)
		}
		before := r.Stats().NotesUnplaced
		tags = receive(w, dev, "a 0 1000")
		for range queue / 4 / (len(long) + capture.NoteCost) {
			r.Note(tags[0], long)
		}
		if after := r.Stats().NotesUnplaced; after != before {
			t.Errorf("%d notes found no room that was free", after-before)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			r.Await("a", 0, long) // nobody sends any more
		}
		if st := r.Stats(); st.NotesUnplaced != before+10 {
			t.Errorf("%d notes are unplaced after Close, %d were before", st.NotesUnplaced, before)
		}
	})
}

// What a recorder keeps is no more than its queue may hold, also when all frames are
// small and labelled and have notes.
func TestRecorderMemory(t *testing.T) {
	const queue = 4 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	file := &slow{gate: make(chan struct{})}
	w, err := capture.NewWriter(file, capture.WriterConfig{Buffer: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	label := func(_ capture.Direction, frame []byte) capture.Label {
		comment := fmt.Sprintf("tcp 10.0.0.1:80 10.0.0.2:%s", frame)
		return capture.Label{Comment: comment, Key: comment, Wait: time.Hour}
	}
	r := capture.NewRecorder(w, capture.RecorderConfig{Queue: queue, Label: label, Remote: true, Hold: time.Hour})
	src := new(wire)
	dev := r.Wrap(src)
	file.shut.Store(true)
	var f [1]link.Frame
	for i := range 20_000 {
		src.in = append(src.in[:0], link.Frame{Head: fmt.Appendf(nil, "%060d", i)})
		if _, err := dev.ReadFrames(f[:]); err != nil {
			t.Fatal(err)
		}
		r.Note(f[0].Tag, fmt.Sprintf("commit %040d", i))
		if i%3 == 0 {
			r.Await(fmt.Sprint("k", i), 1, fmt.Sprintf("LISTEN → %d", i))
		}
	}
	r.NoteReceived("nobody", 1, time.Now(), "") // all are labelled
	st := r.Stats()
	if st.FramesDropped == 0 || st.NotesUnplaced == 0 {
		t.Errorf("the queue is not full: %+v", st)
	}
	if kept := heap() - before; kept > queue+queue/8 {
		t.Errorf("%d octets are kept of %d frames, the bound is %d", kept, st.Frames-st.FramesDropped, queue)
	} else {
		t.Logf("%d octets are kept of %d frames, the bound is %d", kept, st.Frames-st.FramesDropped, queue)
	}
	close(file.gate)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// However long reading a frame takes, the device does not wait for it, nor does
// whoever tells what a frame has led to.
func TestSlowLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := new(locked)
		w, err := capture.NewWriter(file, capture.WriterConfig{})
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		r := capture.NewRecorder(w, capture.RecorderConfig{Remote: true, Label: func(d capture.Direction, b []byte) capture.Label {
			<-gate
			return text(d, b)
		}})
		src := new(wire)
		dev := r.Wrap(src)
		tags := receive(src, dev, "a 0 1000", "b 0 1000")
		told := make(chan struct{})
		go func() {
			r.NoteSent("c", 1, time.Now(), "told by another") // it has to look at all of them
			close(told)
		}()
		synctest.Wait()
		send(t, dev, "c 1")
		r.Note(tags[1], "while the first is read")
		r.Await("d", 1, "early")
		send(t, dev, "d 1")
		close(gate)
		<-told
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{"a", "b; while the first is read", "c; told by another", "d; early"}
		if got := comments(t, file.bytes()); !slices.Equal(got, want) {
			t.Errorf("comments %q\n   want %q", got, want)
		}
	})
}
