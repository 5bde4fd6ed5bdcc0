package vcs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync/atomic"
)

// segment is a segment as it is kept: its bytes and where its columns start.
type segment struct {
	raw                                      []byte
	first, n                                 uint32
	firstKey, keyCount                       uint32
	base                                     int64
	dicts                                    uint32 // where people and programs start
	flags, keys, ops, trees, anchors, filter uint32
	marks                                    atomic.Pointer[[]viewMark] // those of its last view, whose log may be another one
}

// parseSegment reads the frame of a segment and returns the keys that it
// introduces.
func parseSegment(raw []byte) (*segment, []string, error) {
	if len(raw) < 5 || raw[0]&^segmentSealed != segmentVersion {
		return nil, nil, fmt.Errorf("%w: log: not a segment of version %d", ErrCorrupt, segmentVersion)
	}
	if crc32.Checksum(raw[5:], castagnoli) != binary.BigEndian.Uint32(raw[1:]) {
		return nil, nil, fmt.Errorf("%w: log: a segment of %d bytes has a wrong checksum", ErrCorrupt, len(raw))
	}
	s := &segment{raw: raw}
	r := &byteReader{b: raw[5:]}
	first, n, firstKey := r.uvarint(), r.uvarint(), r.uvarint()
	s.base = r.varint()
	s.dicts = uint32(len(raw) - len(r.b))
	if first+n > 1<<31 || firstKey > 1<<31 || n > uint64(len(raw)) || len(raw) > 1<<30 {
		r.fail("numbers out of range")
	}
	s.first, s.n, s.firstKey = uint32(first), uint32(n), uint32(firstKey)
	for k := r.count(1); k > 0; k-- {
		r.bytes()
	}
	for k := r.count(1); k > 0; k-- {
		r.program()
	}
	keys := make([]string, 0, r.count(3))
	prev := ""
	var texts []byte // of many keys: they stay together
	for len(keys) < cap(keys) {
		if cap(texts)-len(texts) < 256 {
			texts = make([]byte, 0, min((cap(keys)-len(keys))*64, 16<<10))
		}
		from := len(texts)
		texts = r.patch(texts, prev, false)
		prev = asString(texts[from:])
		if r.err == nil && checkPath(prev) != nil {
			r.fail("bad path")
		}
		keys = append(keys, prev)
	}
	s.keyCount = uint32(len(keys))
	for k := r.count(1 + len(ID{})); k > 0; k-- {
		if d := r.uvarint(); d == 0 || d > first {
			r.fail("parent outside of the log")
		}
		r.id()
	}
	keysLen, opsLen := r.uvarint(), r.uvarint()
	if r.err != nil {
		return nil, nil, r.err
	}
	at := uint64(len(raw) - len(r.b))
	place := func(size uint64) uint32 {
		start := at
		at += min(size, 1<<31)
		return uint32(min(start, 1<<31))
	}
	s.flags, s.keys, s.ops = place(n), place(keysLen), place(opsLen)
	s.trees, s.anchors = place(20*n), place((n+anchorEvery-1)/anchorEvery*20)
	s.filter = place(uint64(filterSize(int(n))))
	if at != uint64(len(raw)) {
		return nil, nil, fmt.Errorf("%w: log: a segment of %d bytes should have %d", ErrCorrupt, len(raw), at)
	}
	return s, keys, nil
}

func (s *segment) tree(i uint32) ID { return ID(s.raw[s.trees+20*i:]) }

// anchor returns the stored id of a commit whose number is a multiple.
func (s *segment) anchor(i uint32) ID { return ID(s.raw[s.anchors+20*(i/anchorEvery):]) }

// segView is a segment taken apart, as far as somebody has needed it: runs of
// anchorEvery records, each when one of its records is asked for. Message texts
// and values stay as they are until somebody asks. It is for one goroutine.
type segView struct {
	*segment
	people   []string
	programs []program
	encoded  []string
	outside  map[uint32]ID
	runs     [][]viewRecord // nil where not taken apart yet
	marks    []viewMark     // where the first runs begin
	taken    int            // records of runs
	index    map[ID]uint32  // where each id is; nil until all are computed and checked
	text     textContext    // room for messages
	heads    []string       // of commits, by people; see appendPeople
}

// viewRecord says where the parts of one commit are.
type viewRecord struct {
	time       int64
	start, ops uint32 // of its operands; of its message's operands, or its raw text's
	keys       uint32
	parent     uint32 // whose state the changes are of: the first parent or the base; noParent when it is not in the log
	who        uint16
	message    uint16 // program
	value      uint16 // program of the first value, unless it is told
	flags      byte
	based      bool // parent is a base
	id         ID   // zero where not computed yet
}

const noParent = ^uint32(0)

// viewMark is where a run of records begins, and what its first one goes on from.
type viewMark struct {
	ops, keys uint32
	last      int64
	who       uint32
	progs     [2]uint32
}

// view takes a whole segment apart.
func (s *segment) view() (*segView, error) {
	v, err := s.open()
	if err == nil {
		err = v.needAll()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// open begins to take a segment apart.
func (s *segment) open() (*segView, error) {
	v := &segView{segment: s, runs: make([][]viewRecord, (s.n+anchorEvery-1)/anchorEvery)}
	r := &byteReader{b: s.raw[s.dicts:s.flags]}
	for k := r.count(1); k > 0; k-- {
		v.people = append(v.people, string(r.bytes()))
	}
	for k := r.count(1); k > 0; k-- {
		before := r.b
		p := r.program()
		v.programs = append(v.programs, p)
		v.encoded = append(v.encoded, string(before[:len(before)-len(r.b)]))
	}
	for k := r.count(3); k > 0; k-- {
		r.patch(nil, "", true)
	}
	v.outside = make(map[uint32]ID)
	for k := r.count(1); k > 0; k-- {
		d := r.uvarint()
		v.outside[s.first-uint32(d)] = r.id()
	}
	if r.err != nil {
		return nil, r.err
	}
	v.marks = []viewMark{{ops: s.ops, keys: s.keys, last: s.base}}
	return v, nil
}

// rec returns a record of a run that is taken apart.
func (v *segView) rec(i uint32) *viewRecord { return &v.runs[i/anchorEvery][i%anchorEvery] }

// has reports whether a record is taken apart.
func (v *segView) has(i uint32) bool { return v.runs[i/anchorEvery] != nil }

// needAll takes all records apart.
func (v *segView) needAll() error {
	for i := uint32(0); i < v.n; i += anchorEvery {
		if err := v.need(i); err != nil {
			return err
		}
	}
	return nil
}

// need takes the run of a record apart, and those before it whose beginning
// nobody knows yet.
func (v *segView) need(i uint32) error {
	run := int(i / anchorEvery)
	if i >= v.n || v.runs[run] != nil {
		return nil
	}
	for k := min(run, len(v.marks)-1); k <= run; k++ {
		if err := v.take(k); err != nil {
			return err
		}
	}
	return nil
}

// take takes a run apart whose beginning is known, and learns where the next one
// begins.
func (v *segView) take(run int) error {
	m := &v.marks[run]
	w := viewWalk{segView: v, ops: byteReader{b: v.raw[m.ops:v.trees]}, keys: byteReader{b: v.raw[m.keys:v.segment.ops]},
		last: m.last, who: uint64(m.who), progs: [2]uint64{uint64(m.progs[0]), uint64(m.progs[1])}}
	first := uint32(run) * anchorEvery
	recs := make([]viewRecord, min(anchorEvery, v.n-first))
	for i := range recs {
		if err := w.walk(&recs[i], first+uint32(i)); err != nil {
			return err
		}
	}
	v.runs[run] = recs
	v.taken += len(recs)
	if run+1 == len(v.marks) {
		v.marks = append(v.marks, viewMark{w.opsAt(), w.keysAt(), w.last, uint32(w.who), [2]uint32{uint32(w.progs[0]), uint32(w.progs[1])}})
	}
	return nil
}

// viewWalk finds the records' parts.
type viewWalk struct {
	*segView
	ops, keys byteReader
	last      int64
	who       uint64
	progs     [2]uint64
}

func (w *viewWalk) opsAt() uint32  { return w.trees - uint32(len(w.ops.b)) }
func (w *viewWalk) keysAt() uint32 { return w.segView.segment.ops - uint32(len(w.keys.b)) }

func (w *viewWalk) walk(rec *viewRecord, i uint32) error {
	*rec = viewRecord{flags: w.raw[w.flags+i], start: w.opsAt(), keys: w.keysAt(), parent: noParent}
	if rec.flags&parentsMask == parentsPrev && i > 0 {
		rec.parent = w.first + i - 1
	} else if err := w.origin(rec, i); err != nil {
		return err
	}
	if rec.flags&flagRaw == 0 {
		if rec.flags&flagWho != 0 {
			w.who = w.ops.uvarint()
		}
		switch rec.flags & timeMask {
		case timeNext:
			w.last++
		case timeStep:
			w.last += w.ops.varint()
		}
		if w.who >= uint64(len(w.people)) {
			w.ops.fail("unknown person")
		}
	}
	rec.time, rec.who = w.last, uint16(w.who)
	if rec.flags&flagRaw != 0 {
		rec.ops = w.opsAt()
		rec.time = rawTime(w.ops.bytes())
	}
	if rec.flags&flagProgs != 0 {
		w.progs[0] = w.ops.uvarint()
	}
	rec.message, rec.value = uint16(w.progs[0]), uint16(w.progs[1])
	if rec.flags&flagRaw == 0 {
		rec.ops = w.opsAt()
		w.skip(w.progs[0])
	}
	err := w.changes(&w.ops, &w.keys, rec, func(c viewChange) error {
		w.progs[1] = uint64(c.prog)
		return nil
	})
	if err == nil {
		err = w.ops.err
	}
	return err
}

// origin finds whose state a commit's changes are of.
func (w *viewWalk) origin(rec *viewRecord, i uint32) error {
	parents, base, err := w.parents(&w.ops, i, rec.flags)
	switch {
	case err != nil:
	case base != nil:
		rec.parent, rec.based = *base, true
	case len(parents) > 0 && !parents[0].native:
		rec.parent = parents[0].num
	}
	return err
}

func (w *viewWalk) skip(prog uint64) {
	if prog >= uint64(len(w.programs)) {
		w.ops.fail("unknown program")
		return
	}
	w.programs[prog].skip(&w.ops)
}
