package capture_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
)

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
		m := r.Monitor("own", ethernet.Addr{})
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
		m := r.Monitor("own", ethernet.Addr{})
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
