package capture

import (
	"math"
	"slices"
	"sync"
	"time"

	"arpeggio/stack/link"
)

// Defaults of RecorderConfig.
const (
	DefaultQueue = 16 << 20
	DefaultHold  = 2 * time.Second
)

// What the queue holds beside octets of frames and notes: FrameCost for each
// frame, and NoteCost for each note.
const (
	FrameCost = 512
	NoteCost  = 64
)

// RecorderConfig configures NewRecorder. The zero value works.
type RecorderConfig struct {
	// Queue bounds the octets of frames that wait to be written, each with
	// FrameCost more, and of their notes and those that wait for a frame, each with
	// NoteCost more (default DefaultQueue). Notes have a quarter of it at most. What
	// finds it full is not recorded, but counted.
	Queue int
	// Noted says whether NoteFrame may be called for a received frame; nil says
	// so of all. It is called from the device's owner and must be quick.
	Noted func(frame []byte) bool
	// Label says what a frame is about; nil says nothing of any. It is called for
	// one frame after the other, in order, and keeps nothing.
	Label func(d Direction, frame []byte) Label
	// Hold bounds how long a frame whose Label.Wait is longer waits for its
	// comments (default DefaultHold).
	Hold time.Duration
	// Remote says that NoteReceived and NoteSent will be called, for which the
	// queue is kept in order by Label.Key.
	Remote bool
}

// Label is what can be read from a frame itself.
type Label struct {
	Comment string        // begins the packet's comment; "" for none
	Key     string        // for Await, NoteReceived and NoteSent; "" is never found
	Flags   uint8         // likewise
	Mark    uint64        // for NoteReceived: which of the key's frames it is
	Wait    time.Duration // how long after its time more may become known of it
}

// Recorder records what a device carries without ever making the device's owner
// wait: frames are copied into a queue, and a goroutine writes them, in order. A
// frame stays in the queue for a while in which others may add to its comment
// what it has caused; when the queue is half full none waits any more. Its
// methods may be called from any goroutine.
type Recorder struct {
	w    *Writer
	conf RecorderConfig

	reading chan struct{} // holds one token: who has it asks Label
	unread  []Packet      // what Label is asked about

	mu              sync.Mutex
	more            sync.Cond // on mu
	queue           []entry   // from head on by tag, without gaps
	head            int       // of queue: what is before it is written
	first           uint64    // tag of queue[head]
	fresh           uint64    // tag of the first frame that has no label yet
	octets          int       // what the queue's bound is for
	noteOctets      int       // of them those of notes
	written         int       // of them those of frames that are being written
	noted           []uint64  // the tags of the frames in queue that NoteFrame may look for
	slab            []byte    // storage for the next frames
	awaited         map[string][]awaited
	nawait          int
	swept           time.Time           // when awaited was last looked through for old ones
	places          map[string][]uint64 // with Remote: the tags of the labelled frames in queue, by key
	ifaces          []ifaceCount
	notes, unplaced uint64
	closed          bool
	done            chan struct{}
}

// entry is a frame that waits to be written. Its tag is its place in the queue.
type entry struct {
	packet     Packet
	queued     time.Time
	until      time.Time // when it waits no longer
	label      Label     // once its tag is below fresh
	known      bool      // what it has caused is known: it waits no longer
	offloads   string    // what a reader should know of the frame
	notes      []string
	noteOctets int
}

// ifaceCount counts the frames of an interface.
type ifaceCount struct{ seen, dropped, untold uint64 }

// Lost is the Tag of a received frame for which there was no room. Note knows
// nothing of it.
const Lost = math.MaxUint64

// slabSize is the unit in which storage for frames is taken.
const slabSize = 256 << 10

// NewRecorder returns a Recorder that writes to w until Close; w stays the
// caller's.
func NewRecorder(w *Writer, c RecorderConfig) *Recorder {
	if c.Queue <= 0 {
		c.Queue = DefaultQueue
	}
	if c.Hold <= 0 {
		c.Hold = DefaultHold
	}
	r := &Recorder{w: w, conf: c, first: 1, fresh: 1, awaited: make(map[string][]awaited), reading: make(chan struct{}, 1), done: make(chan struct{})}
	r.reading <- struct{}{}
	if c.Remote {
		r.places = make(map[string][]uint64)
	}
	r.more.L = &r.mu
	go r.run()
	return r
}

// AddInterface describes an interface and returns its index, as the Writer's.
func (r *Recorder) AddInterface(i Interface) (int, error) {
	n, err := r.w.AddInterface(i)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.ifaces) <= n {
		r.ifaces = append(r.ifaces, ifaceCount{})
	}
	return n, err
}

// waiting returns the frames that are not written yet. The caller holds mu.
func (r *Recorder) waiting() []entry { return r.queue[r.head:] }

// last returns the tag of the frame that was queued last. The caller holds mu.
func (r *Recorder) last() uint64 { return r.first + uint64(len(r.waiting())) - 1 }

// add queues a frame and returns its tag, Lost when there was no room. The caller
// holds mu.
func (r *Recorder) add(iface int, d Direction, at, now time.Time, f *link.Frame) uint64 {
	n, count := f.Len(), &r.ifaces[iface]
	count.seen++
	if r.closed || r.octets+n+FrameCost > r.conf.Queue {
		count.dropped++
		count.untold++
		return Lost
	}
	e := entry{queued: now, offloads: offloads(f), packet: Packet{Time: at, Interface: iface, Direction: d, Data: r.keep(f, n), Length: n, Dropped: count.untold}}
	count.untold = 0
	if r.octets += n + FrameCost; len(r.waiting()) == 0 || r.octets > r.conf.Queue/2 {
		r.more.Signal()
	}
	r.queue = append(r.queue, e)
	if d == In && (r.conf.Noted == nil || r.conf.Noted(e.packet.Data)) {
		r.noted = append(r.noted, r.last())
	}
	return r.last()
}

// entry returns the frame in the queue that has a tag. The caller holds mu.
func (r *Recorder) entry(tag uint64) *entry { return &r.waiting()[tag-r.first] }

// keep returns the n octets of f, copied. The caller holds mu.
func (r *Recorder) keep(f *link.Frame, n int) []byte {
	if n > slabSize/8 { // so that little of a slab is wasted
		return f.AppendTo(make([]byte, 0, n))
	}
	if len(r.slab)+n > cap(r.slab) {
		r.slab = make([]byte, 0, slabSize)
	}
	start := len(r.slab)
	r.slab = f.AppendTo(r.slab)
	return r.slab[start:len(r.slab):len(r.slab)]
}

// RecorderStats counts what a Recorder did.
type RecorderStats struct {
	Frames        uint64 // that came
	FramesDropped uint64 // of them not recorded for lack of room
	Notes         uint64 // that were to stand beside a frame
	// NotesUnplaced are those whose frame was written already, or dropped, or did
	// not come in time, and those that there was no room for.
	NotesUnplaced uint64
}

// Stats returns the counters.
func (r *Recorder) Stats() RecorderStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := RecorderStats{Notes: r.notes, NotesUnplaced: r.unplaced}
	for _, c := range r.ifaces {
		s.Frames += c.seen
		s.FramesDropped += c.dropped
	}
	return s
}

// Close writes what is queued, and for each interface how many frames were seen
// and how many of them are missing. The devices go on unrecorded. It is
// idempotent.
func (r *Recorder) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.more.Signal()
	r.mu.Unlock()
	<-r.done
	if !was {
		r.mu.Lock()
		for key := range r.awaited { // no frame will come for these
			r.forget(key, func(awaited) bool { r.unplaced++; return true })
		}
		ifaces := slices.Clone(r.ifaces) // the devices go on
		r.mu.Unlock()
		now := time.Now()
		for i, c := range ifaces {
			_ = r.w.statistics(i, now, c.seen, c.dropped) // an error stays in w.Err
		}
	}
	return r.w.Flush()
}
