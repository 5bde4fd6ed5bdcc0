package vcs

// maxTail bounds the segments that are not sealed, each the fruit of one group
// commit: beyond it they are folded into one.
const maxTail = 64

// finish makes the segment of a group's records. The tail of the log is folded
// into one segment when it has many, and sealed when that one is large.
func (st *stager) finish() {
	if len(st.recs) == 0 {
		return
	}
	out, l := st.out, st.oplog
	b := segmentBuilder{first: l.n, firstKey: uint32(len(l.keys))}
	for i := range st.recs {
		b.add(&st.recs[i])
	}
	b.newKeys = out.keys
	tail := l.segs[len(l.segs)-len(l.tail):]
	size := b.size()
	for _, s := range tail {
		size += len(s.raw) - int(s.flags) // without the dictionaries, which will be one
	}
	seal := size >= maxSegment && len(tail) > 0
	if seal || len(tail) >= maxTail {
		var err error
		if seal {
			var whole *segmentBuilder
			if whole, err = st.foldTail(tail, nil); err == nil {
				out.add(whole, true)
			}
		} else if whole, werr := st.foldTail(tail, st.recs); werr == nil {
			whole.newKeys = append(whole.newKeys, out.keys...)
			b = *whole
		} else {
			err = werr
		}
		if err == nil {
			out.folded = len(tail)
			for _, n := range l.tail {
				out.fold += n
			}
		}
	}
	out.add(&b, b.size() >= maxSegment*3/4)
	for num, root := range st.roots {
		out.states = append(out.states, stagedState{num, root})
	}
}

func (out *stagedLog) add(b *segmentBuilder, sealed bool) {
	const lead = 1
	record := b.finish(lead, sealed)
	parts := cutRecord(record)
	out.segs = append(out.segs, stagedSegment{record[lead:], len(parts)})
	out.records = append(out.records, parts...)
}

// foldTail builds one segment of the log's tail and some new records.
func (st *stager) foldTail(tail []*segment, more []logRecord) (*segmentBuilder, error) {
	l := st.oplog
	b := &segmentBuilder{first: tail[0].first, firstKey: tail[0].firstKey}
	b.newKeys = append(b.newKeys, l.keys[tail[0].firstKey:]...)
	for _, s := range tail {
		v, err := s.view()
		if err == nil {
			err = l.allIDs(v)
		}
		for i := uint32(0); i < s.n && err == nil; i++ {
			var rec logRecord
			if rec, err = v.record(i); err == nil {
				b.add(&rec)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range more {
		b.add(&more[i])
	}
	return b, nil
}

// record returns a commit as it was written.
func (v *segView) record(i uint32) (rec logRecord, err error) {
	x := &v.recs[i]
	rec = logRecord{id: v.ids[i], tree: v.tree(i), time: x.time}
	if rec.parents, err = v.parentsOf(i); err != nil {
		return rec, err
	}
	for k, p := range rec.parents {
		if !p.native && p.num >= v.first {
			rec.parents[k].id = v.ids[p.num-v.first]
		}
	}
	r := byteReader{b: v.raw[x.ops:v.trees]}
	if x.flags&flagRaw != 0 {
		rec.raw = r.bytes()
	} else {
		rec.who = v.people[x.who]
		before := r.b
		v.programs[x.message].skip(&r)
		rec.message = written{v.encoded[x.message], before[:len(before)-len(r.b)]}
	}
	err = v.eachChange(i, func(c viewChange) error {
		rec.changes = append(rec.changes, logChange{key: c.key, kind: c.kind, mode: c.mode, link: c.link,
			text: written{v.encoded[c.prog], c.args}})
		return nil
	})
	return rec, err
}

// Lead bytes of a log record.
const (
	recordLast = 0 // a segment, or the last part of one
	recordMore = 1 // a part of a segment; the next record goes on with it
)

// cutRecord cuts a segment with its lead byte to log records.
func cutRecord(record []byte) [][]byte {
	if len(record) <= MaxRecord {
		return [][]byte{record}
	}
	var parts [][]byte
	for rest := record[1:]; len(rest) > 0; {
		n := min(len(rest), MaxRecord-1)
		lead := byte(recordMore)
		if n == len(rest) {
			lead = recordLast
		}
		parts = append(parts, append([]byte{lead}, rest[:n]...))
		rest = rest[n:]
	}
	return parts
}

// publish makes staged records part of the log, after the backend has taken
// them.
func (l *oplog) publish(st *stagedLog) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(st.segs) == 0 {
		return nil
	}
	if st.folded > 0 {
		l.segs = l.segs[:len(l.segs)-st.folded]
		l.tail = nil
	}
	for _, x := range st.segs {
		s, keys, err := parseSegment(x.raw)
		if err != nil {
			return err
		}
		l.add(s, keys[min(len(keys), len(l.keys)-int(s.firstKey)):], x.parts)
	}
	if len(l.recent) > 8<<10 {
		l.older, l.recent = l.recent, make(map[ID]uint32)
	}
	for id, num := range st.nums {
		l.recent[id] = num
	}
	for _, x := range st.states {
		l.states.add(x.num, x.root, 1)
	}
	for _, n := range st.made {
		l.pool[n.id] = n
	}
	return nil
}

// sweep drops from the pool what no head leads to any more, when there is much
// of it.
func (l *oplog) sweep(heads func() []ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pool) < 2*l.live+8192 {
		return
	}
	pool := make(map[ID]*node, l.live)
	seen := make(map[*node]bool)
	var mark func(n *node)
	mark = func(n *node) {
		if n.lazy || !n.known || seen[n] {
			return
		}
		if n.mode.IsDir() {
			seen[n] = true
		}
		if l.pool[n.id] != nil {
			pool[n.id] = n
		}
		for _, k := range n.kids {
			mark(k)
		}
	}
	for _, id := range heads() {
		if num, ok, err := l.find(id); err == nil && ok {
			if root := l.states.get(num); root != nil {
				mark(root)
			}
		}
	}
	l.pool, l.live = pool, len(pool)
}
