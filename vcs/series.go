package vcs

import (
	"context"
	"math"
	"math/bits"
	"unsafe"
)

// A series is commits on top of each other of which each gives one file new
// content, as nearly all of a busy branch do. Made together they are hashed level
// by level: first all contents, then the folders around those as each commit
// leaves them, and so on up to the roots. The messages of one level do not depend
// on each other; only the commits do, which come last.

// maxSeries bounds the commits of a series.
const maxSeries = 64

// step is one commit of a series.
type step struct {
	edit
	info CommitInfo
	fit  bool // for a series, as far as can be seen without the branch

	ends    [maxReplace]uint16 // where the names of the path end
	depth   int                // how many there are: folders on the path
	folders [maxReplace]*node
	at      [maxReplace]int32 // where in them the path goes on
	again   uint32            // a bit for each of them that has changed since the last freeze
	now     ID                // of what lies below the folder that is hashed next
	made    bool              // the content is new, so there is a commit
}

// cut finds the names of the path; it reports false when there are too many.
func (x *step) cut() bool {
	x.depth = 0
	if len(x.path) > math.MaxUint16 {
		return false
	}
	b := unsafe.Slice(unsafe.StringData(x.path), len(x.path))
	for at := 0; at < len(b); at += 8 {
		for slash := slashBytes(eightBytes(b[at:])); slash != 0; slash &= slash - 1 {
			if x.depth == maxReplace-1 {
				return false
			}
			x.ends[x.depth] = uint16(at + bits.TrailingZeros64(slash)/8)
			x.depth++
		}
	}
	x.ends[x.depth] = uint16(len(b))
	x.depth++
	return true
}

// slashBytes sets the highest bit of each of eight bytes that is a slash.
func slashBytes(x uint64) uint64 {
	const rest = ^uint64(highBits)
	x ^= '/' * eachByte
	return ^(x&rest + rest | x | rest)
}

// series is room to make series in. It is for one goroutine.
type series struct {
	notes []note
	lanes sha1Lanes
	which []uint8 // the steps of what is in the lanes
}

// commitSeries makes the commits of the first steps, whose contents are hashed, as
// many as can be, on top of a branch that is at head, and publishes them in one go.
// It returns the new head, how many steps are done with, and how many commits there
// are. No step is done with when the first is not for a series, or when something
// is in the way, which a Commit will find out.
func (r *Repo[K, V]) commitSeries(ctx context.Context, c *series, branch string, head ID, steps []step) (at ID, done, made int) {
	ref := r.branchRef(branch)
	if have, _ := r.s.Ref(ref); have != head || head.IsZero() || r.s.log == nil {
		return head, 0, 0
	}
	if err := r.s.awaitRoom(ctx); err != nil {
		return head, 0, 0
	}
	w, err := r.s.workAt(head, ref)
	if err != nil {
		return head, 0, 0
	}
	defer r.s.keep(w)
	done = w.locate(steps)
	steps = steps[:done]
	changes := make([]leafChange, 0, done)
	for i := range steps {
		changes = w.place(&steps[i], changes)
	}
	if len(changes) == 0 {
		return head, done, 0
	}
	c.folders(steps)
	at, err = r.noteSeries(c, w, steps, changes)
	if err == nil {
		err = r.s.publishSeries(ref, head, c.notes)
	}
	if err != nil {
		w.undo(changes)
		at, done, made = head, 0, 0
	} else {
		made = len(c.notes)
		last := &c.notes[made-1]
		w.head, w.time, w.seq = last.id, last.time, last.seq
	}
	clear(c.notes)
	c.notes = c.notes[:0]
	return at, done, made
}

// noteSeries makes the commits of hashed steps. Each has one of the changes.
func (r *Repo[K, V]) noteSeries(c *series, w *workTree, steps []step, changes []leafChange) (head ID, err error) {
	head, after := w.head, w.time
	for i := range steps {
		x := &steps[i]
		if !x.made {
			continue
		}
		k := len(c.notes)
		c.notes = append(c.notes, note{tree: x.now, parents: room(&w.parents, 1, 16), changes: changes[k : k+1 : k+1]})
		n := &c.notes[k]
		n.parents[0] = head
		if _, err := r.writeNote(n, after, &x.info, &w.room); err != nil {
			return head, err
		}
		head, after = n.id, n.time
	}
	return head, nil
}

// contents hashes what the steps that are fit put into files.
func (c *series) contents(steps []step) {
	for i := range steps {
		x := &steps[i]
		if !x.fit {
			continue
		}
		if !c.inLanes(len(steps), sha1Padded(len(x.content)+headRoom)) {
			x.id = HashObject(KindBlob, x.content)
			continue
		}
		c.lanes.object(KindBlob, x.content)
		c.collected(steps, i, -1)
	}
	c.sum(steps, -1)
}

// collected says that a step's message is in the lanes. As soon as they are full
// they are hashed, while all of them is near.
func (c *series) collected(steps []step, i, depth int) {
	if c.which = append(c.which, uint8(i)); len(c.which) == sha1LaneCount {
		c.sum(steps, depth)
	}
}

// sum hashes what is in the lanes: folders at a depth, or contents of files.
func (c *series) sum(steps []step, depth int) {
	for i, job := range c.lanes.sum() {
		x := &steps[c.which[i]]
		if depth < 0 {
			x.id = job.id
			continue
		}
		n := x.folders[depth]
		x.now, n.id, n.known = job.id, job.id, true
	}
	c.which = c.which[:0]
}

// inLanes reports whether a message of a level is to be collected.
func (c *series) inLanes(level, padded int) bool {
	return haveLanes && level >= minLanes && padded <= maxLane
}

// folders hashes the folders around what has changed, inmost first, each as
// every step leaves it.
func (c *series) folders(steps []step) {
	made, depth := 0, 0
	for i := range steps {
		if x := &steps[i]; x.made {
			made++
			depth = max(depth, x.depth)
			x.now = x.id
		}
	}
	for d := depth - 1; d >= 0; d-- {
		for i := range steps {
			x := &steps[i]
			if !x.made || x.depth <= d {
				continue
			}
			n := x.folders[d]
			n.dir.setID(int(x.at[d]), x.now)
			if size := sha1Padded(len(n.dir.buf) - n.dir.head); !c.inLanes(made, size) {
				x.now = n.dir.sum(n.owner, x.again>>d&1 != 0)
				n.id, n.known = x.now, true
				continue
			}
			c.lanes.padded(n.dir.message())
			c.collected(steps, i, d)
		}
		c.sum(steps, d)
	}
}

// locate finds the files of steps and returns how many of the first ones it found;
// the next one is not there, or not for replacing. It goes down folder by folder
// with all of them, so that they wait for memory together.
func (w *workTree) locate(steps []step) (found int) {
	var here [maxSeries]*node // what was found of each path so far
	deepest := 0
	for found < len(steps) && steps[found].fit && steps[found].cut() {
		x := &steps[found]
		here[found] = w.root
		deepest = max(deepest, x.depth)
		found++
	}
	for d := range deepest {
		for i := range steps[:found] {
			if steps[i].depth > d && (i == 0 || here[i] != here[i-1]) {
				here[i].dir.prefetch()
			}
		}
		for i := range steps[:found] {
			x := &steps[i]
			if x.depth <= d {
				continue
			}
			from := 0
			if d > 0 {
				from = int(x.ends[d-1]) + 1
			}
			n := here[i].dir
			k, ok := n.entry(x.path[from:x.ends[d]], x.depth-1 > d)
			if !ok || n.kids[k] == nil {
				found = i
				break
			}
			x.at[d] = int32(k)
			here[i] = n.kids[k]
			prefetch(unsafe.Pointer(here[i]), nodeLines)
		}
	}
	for i := range steps[:found] {
		if here[i].mode != steps[i].mode {
			return i
		}
	}
	return found
}

// nodeLines is how many cache lines a node takes, with the folder behind it.
const nodeLines = int((unsafe.Sizeof(node{})+unsafe.Sizeof(folder{}))/64) + 1

// place puts a step's content into its file, which was located, and adds the
// change to some. The ids of the folders around it are to be made.
func (w *workTree) place(x *step, changes []leafChange) []leafChange {
	n := w.root
	old := n
	for _, i := range x.at[:x.depth] {
		old = old.dir.kids[i]
	}
	if x.made = old.id != x.id; !x.made {
		return changes
	}
	x.again = 0
	for d, i := range x.at[:x.depth] {
		if n.owner == w.own {
			x.again |= 1 << d
		}
		n = n.own(w.own)
		x.folders[d] = n
		if d == 0 {
			w.root = n
		} else {
			x.folders[d-1].dir.kids[x.at[d-1]] = n
		}
		n = n.dir.kids[i]
	}
	now := newFile(x.mode, x.content, w.own)
	now.id, now.known = x.id, true
	x.folders[x.depth-1].dir.kids[x.at[x.depth-1]] = now
	return append(changes, leafChange{x.path, old, now})
}
