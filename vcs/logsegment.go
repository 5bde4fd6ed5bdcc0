package vcs

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// A segment is a run of commits, numbered in the order in which they became
// durable. It is an immutable string of bytes:
//
//	version, CRC-32C of the rest,
//	first number, count, first key number, base time,
//	people, programs, new keys, parents in other segments,
//	lengths of the columns,
//	flags: one byte a commit,
//	keys: what changed,
//	operands: parents, time, message and values,
//	trees: 20 bytes a commit,
//	anchors: the id of every 64th commit,
//	filter: a Bloom filter of the commits' ids.
//
// The tree's id is what cannot be had without going through history. The ids of
// the commits follow from it, and are checked against the anchors and by every
// child in another segment.
const (
	segmentVersion = 1
	segmentSealed  = 1 << 7 // in the version's byte: it stays as it is
	anchorEvery    = 64
	filterBits     = 10 // per commit
	filterProbes   = 6
)

// maxSegment is the size at which a segment is sealed, so that it fills a log
// record. One large commit may make a larger one.
const maxSegment = MaxRecord - 512

// Flags of a commit.
const (
	parentsPrev = 0 // the commit before
	parentsOne  = 1 // one: the distance
	parentsNone = 2
	parentsList = 3
	parentsMask = 3
	flagWho     = 1 << 2 // other people than the commit before: which
	timeSame    = 0 << 3
	timeNext    = 1 << 3
	timeStep    = 2 << 3 // the difference
	timeMask    = 3 << 3
	flagList    = 1 << 5 // not one plain file: a list of changes
	flagProgs   = 1 << 6 // other programs than the commit before: which
	flagRaw     = 1 << 7 // the header from the author on, and the message, as they are
)

// Kinds of a change, the low bits of its key in a list.
const (
	changeSet    = 0 // a plain file
	changeRemove = 1
	changeMode   = 2 // a file of another mode
	changeLink   = 3 // a submodule's commit
)

// logParent is a parent of a commit: a number in the log or the id of a commit
// that is kept natively.
type logParent struct {
	num    uint32
	native bool
	id     ID // also known for numbers when the record is written
}

// logChange is one changed file.
type logChange struct {
	key  uint32
	kind uint8
	mode Mode    // of changeMode
	link ID      // of changeLink
	text written // of changeSet and changeMode
}

// logRecord is one commit.
type logRecord struct {
	id      ID
	tree    ID
	parents []logParent
	base    *uint32 // not nil: the state is told by changes of this commit's, noParent for an empty one, not of the first parent's
	time    int64
	who     string // author and committer; see people
	message written
	raw     []byte // not nil: instead of who, time and message
	changes []logChange
}

// segmentBuilder writes a segment.
type segmentBuilder struct {
	first, firstKey  uint32
	n                uint32
	base, last       int64
	who              int
	progs            [2]int // of the last message and value
	people, programs internTable
	newKeys          []string
	dictBytes        int // of newKeys
	outside          []logParent
	flags, keys, ops []byte
	trees            []byte
	ids              []ID
	values           []int // room for the programs of a commit's values
}

type internTable struct {
	index map[string]int
	list  []string
	bytes int
}

func (t *internTable) add(s string) int {
	i, ok := t.index[s]
	if !ok {
		if t.index == nil {
			t.index = make(map[string]int)
		}
		i = len(t.list)
		t.index[s] = i
		t.list = append(t.list, s)
		t.bytes += len(s) + 2
	}
	return i
}

// addNear is add for what is likely to be the i-th.
func (t *internTable) addNear(s string, i int) int {
	if i < len(t.list) && t.list[i] == s {
		return i
	}
	return t.add(s)
}

// begin starts a segment, with room for so many bytes of records or for as many
// as a segment has.
func (s *segmentBuilder) begin(first, firstKey uint32, bytes int) {
	bytes = min(bytes, maxSegment)
	n := bytes/28 + 1
	*s = segmentBuilder{first: first, firstKey: firstKey, people: s.people, programs: s.programs,
		newKeys: s.newKeys[:0], outside: s.outside[:0], flags: slices.Grow(s.flags[:0], n), keys: slices.Grow(s.keys[:0], 3*n),
		ops: slices.Grow(s.ops[:0], bytes/4), trees: slices.Grow(s.trees[:0], n*len(ID{})), ids: slices.Grow(s.ids[:0], n), values: s.values}
	s.people.reset()
	s.programs.reset()
}

func (t *internTable) reset() {
	clear(t.index)
	t.list, t.bytes = t.list[:0], 0
}

// size returns about how large the segment is, rather too much.
func (s *segmentBuilder) size() int {
	n := int(s.n)
	return 64 + s.dictBytes + s.people.bytes + s.programs.bytes + len(s.keys) + len(s.ops) + n*(1+len(ID{})) + (n/anchorEvery+1+len(s.outside))*24 + filterSize(n)
}

// addKey introduces a key.
func (s *segmentBuilder) addKey(path string) {
	prev := ""
	if n := len(s.newKeys); n > 0 {
		prev = s.newKeys[n-1]
	}
	s.newKeys = append(s.newKeys, path)
	s.dictBytes += len(appendPatch(nil, prev, path))
}

func (s *segmentBuilder) add(rec *logRecord) {
	if s.n == 0 {
		s.base, s.last = rec.time, rec.time
	}
	num := s.first + s.n
	var flags byte
	switch p := rec.parents; {
	case rec.base == nil && len(p) == 0:
		flags = parentsNone
	case rec.base == nil && len(p) == 1 && !p[0].native && p[0].num+1 == num:
	case rec.base == nil && len(p) == 1 && !p[0].native:
		flags = parentsOne
		s.ops = binary.AppendUvarint(s.ops, uint64(num-p[0].num))
	default:
		flags = parentsList
		s.addBase(rec.base, num)
		s.ops = binary.AppendUvarint(s.ops, uint64(len(p)))
		for _, x := range p {
			if x.native {
				s.ops = append(append(s.ops, 0), x.id[:]...)
			} else {
				s.ops = binary.AppendUvarint(s.ops, uint64(num-x.num))
			}
		}
	}
	for _, p := range rec.parents {
		if !p.native && p.num < s.first && !slices.ContainsFunc(s.outside, func(o logParent) bool { return o.num == p.num }) {
			s.outside = append(s.outside, p)
		}
	}
	if rec.raw != nil {
		flags |= flagRaw
		s.ops = appendBytes(s.ops, rec.raw)
	} else {
		flags |= s.addHead(rec)
	}
	flags |= s.addChanges(rec)
	s.flags = append(s.flags, flags)
	s.trees = append(s.trees, rec.tree[:]...)
	s.ids = append(s.ids, rec.id)
	s.n++
}

// addBase writes the base of a commit's state, behind a count of zero parents,
// which a list never has otherwise.
func (s *segmentBuilder) addBase(base *uint32, num uint32) {
	switch {
	case base == nil:
	case *base == noParent:
		s.ops = append(s.ops, 0, 0)
	default:
		s.ops = binary.AppendUvarint(append(s.ops, 0), uint64(num-*base))
	}
}

func (s *segmentBuilder) addHead(rec *logRecord) (flags byte) {
	if who := s.people.addNear(rec.who, s.who); who != s.who {
		s.who = who
		flags |= flagWho
		s.ops = binary.AppendUvarint(s.ops, uint64(who))
	}
	switch d := rec.time - s.last; d {
	case 0:
	case 1:
		flags |= timeNext
	default:
		flags |= timeStep
		s.ops = binary.AppendVarint(s.ops, d)
	}
	s.last = rec.time
	return flags
}

// addChanges writes the programs and texts of message and values.
func (s *segmentBuilder) addChanges(rec *logRecord) (flags byte) {
	list := len(rec.changes) != 1 || rec.changes[0].kind != changeSet
	other := false
	if rec.raw == nil {
		p := s.programs.addNear(rec.message.prog, s.progs[0])
		other = p != s.progs[0]
		s.progs[0] = p
	}
	values := slices.Grow(s.values[:0], len(rec.changes))[:len(rec.changes)]
	s.values = values
	for i := range rec.changes {
		if c := &rec.changes[i]; c.kind == changeSet || c.kind == changeMode {
			values[i] = s.programs.addNear(c.text.prog, s.progs[1])
			other = other || values[i] != s.progs[1]
		}
	}
	if other {
		flags |= flagProgs
		s.ops = binary.AppendUvarint(s.ops, uint64(s.progs[0]))
	}
	if rec.raw == nil {
		s.ops = append(s.ops, rec.message.args...)
	}
	prev := uint32(0)
	if list {
		flags |= flagList
		s.keys = binary.AppendUvarint(s.keys, uint64(len(rec.changes)))
	}
	for i := range rec.changes {
		c := &rec.changes[i]
		if list {
			step := int64(c.key) - int64(prev)
			prev = c.key
			s.keys = binary.AppendUvarint(s.keys, (uint64(step<<1)^uint64(step>>63))<<2|uint64(c.kind))
		} else {
			s.keys = binary.AppendUvarint(s.keys, uint64(c.key))
		}
		switch c.kind {
		case changeRemove:
			continue
		case changeLink:
			s.ops = append(s.ops, c.link[:]...)
			continue
		case changeMode:
			s.ops = binary.AppendUvarint(s.ops, uint64(c.mode))
		}
		if other {
			s.progs[1] = values[i]
			s.ops = binary.AppendUvarint(s.ops, uint64(values[i]))
		}
		s.ops = append(s.ops, c.text.args...)
	}
	return flags
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// finish returns the segment's bytes behind lead bytes that are left free.
func (s *segmentBuilder) finish(lead int, sealed bool) []byte {
	var head []byte
	head = binary.AppendUvarint(head, uint64(s.first))
	head = binary.AppendUvarint(head, uint64(s.n))
	head = binary.AppendUvarint(head, uint64(s.firstKey))
	head = binary.AppendVarint(head, s.base)
	head = binary.AppendUvarint(head, uint64(len(s.people.list)))
	for _, w := range s.people.list {
		head = appendBytes(head, w)
	}
	head = binary.AppendUvarint(head, uint64(len(s.programs.list)))
	for _, p := range s.programs.list {
		head = append(head, p...)
	}
	head = binary.AppendUvarint(head, uint64(len(s.newKeys)))
	prev := ""
	for _, k := range s.newKeys {
		head = appendPatch(head, prev, k)
		prev = k
	}
	head = binary.AppendUvarint(head, uint64(len(s.outside)))
	for _, p := range s.outside {
		head = binary.AppendUvarint(head, uint64(s.first-p.num))
		head = append(head, p.id[:]...)
	}
	head = binary.AppendUvarint(head, uint64(len(s.keys)))
	head = binary.AppendUvarint(head, uint64(len(s.ops)))
	filter := makeFilter(s.ids)
	size := lead + 5 + len(head) + len(s.flags) + len(s.keys) + len(s.ops) + len(s.trees) + (len(s.ids)/anchorEvery+1)*20 + len(filter)
	b := append(make([]byte, lead, size), segmentVersion, 0, 0, 0, 0)
	if sealed {
		b[lead] |= segmentSealed
	}
	b = append(append(append(append(append(b, head...), s.flags...), s.keys...), s.ops...), s.trees...)
	for i := 0; i < len(s.ids); i += anchorEvery {
		b = append(b, s.ids[i][:]...)
	}
	b = append(b, filter...)
	binary.BigEndian.PutUint32(b[lead+1:], crc32.Checksum(b[lead+5:], castagnoli))
	return b
}

// filterSize returns the bytes of the filter of n ids.
func filterSize(n int) int { return (n*filterBits + 7) / 8 }

func makeFilter(ids []ID) []byte {
	f := make([]byte, filterSize(len(ids)))
	for _, id := range ids {
		filterEach(f, id, func(i int, bit byte) bool {
			f[i] |= bit
			return true
		})
	}
	return f
}

// filterEach visits the bits that stand for an id.
func filterEach(f []byte, id ID, visit func(i int, bit byte) bool) bool {
	bits := uint32(len(f) * 8)
	h, step := binary.LittleEndian.Uint32(id[:]), binary.LittleEndian.Uint32(id[4:])|1
	for range filterProbes {
		at := uint32(uint64(h) * uint64(bits) >> 32)
		if !visit(int(at/8), 1<<(at%8)) {
			return false
		}
		h += step
	}
	return true
}

func filterHas(f []byte, id ID) bool {
	return len(f) > 0 && filterEach(f, id, func(i int, bit byte) bool { return f[i]&bit != 0 })
}
