package vcs

// maxTail bounds the segments that are not sealed, each the fruit of one group
// commit: beyond it they are folded into one.
const maxTail = 64

// logRoom is room that is used again for each group. What is staged lies in it
// only until the next group is staged.
type logRoom struct {
	recs    []logRecord
	rest    []logRecord // takes turns with oplog.rest
	builder segmentBuilder
}

// finish makes the segment of a group's records. The tail of the log is folded
// in when it has many segments, or enough for one that is sealed.
func (st *stager) finish() {
	if len(st.recs) == 0 {
		return
	}
	out, l := st.out, st.oplog
	first, firstKey, recs := l.n, uint32(len(l.keys)), st.recs
	var old []logRecord // those of the tail, when it is folded in
	tail := l.segs[len(l.segs)-len(l.tail):]
	size := 0
	for _, s := range tail {
		size += len(s.raw) - int(s.flags) // without the dictionaries, which will be one
	}
	for i := range recs {
		size += 40 + len(recs[i].message.args)
	}
	if len(tail) >= maxTail || len(tail) > 0 && size >= maxSegment {
		var err error
		if old = l.rest; old == nil {
			old, err = l.tailRecords(tail)
		}
		if err != nil {
			old = nil
		} else {
			first, firstKey = tail[0].first, tail[0].firstKey
			out.folded = len(tail)
			for _, n := range l.tail {
				out.fold += n
			}
		}
	}
	keys := append(l.keys[firstKey:len(l.keys):len(l.keys)], out.keys...)
	b := &l.room.builder
	b.begin(first, firstKey, size)
	open := 0 // the first record that is not sealed
	for i := range len(old) + len(recs) {
		rec := &recs[max(i-len(old), 0)]
		if i < len(old) {
			rec = &old[i]
		}
		b.add(rec)
		for _, c := range rec.changes {
			for n := uint32(len(b.newKeys)); c.key >= b.firstKey+n; n++ {
				b.addKey(keys[b.firstKey+n-firstKey])
			}
		}
		if b.size() >= maxSegment {
			out.add(b, true)
			open = i + 1
			b.begin(b.first+b.n, b.firstKey+uint32(len(b.newKeys)), size)
		}
	}
	if b.n > 0 {
		out.add(b, false)
	}
	switch {
	case open >= len(old) && (open > 0 || len(tail) == 0):
		out.rest, out.moved = append(l.room.rest[:0], recs[open-len(old):]...), true
	case len(old) > 0:
		out.rest, out.moved = append(append(l.room.rest[:0], old[open:]...), recs...), true
	case l.rest != nil:
		out.rest = append(l.rest, recs...)
	}
	for num, left := l.n+uint32(len(st.recs)), maxStates/2; left > 0 && num > l.n; left-- {
		num--
		if root := st.roots[num]; root != nil {
			out.states = append(out.states, stagedState{out.ids[num-l.n], num, root, 1})
		}
	}
}

func (out *stagedLog) add(b *segmentBuilder, sealed bool) {
	const lead = 1
	record := b.finish(lead, sealed)
	parts := cutRecord(record)
	out.segs = append(out.segs, stagedSegment{record[lead:], len(parts)})
	out.records = append(out.records, parts...)
}

// tailRecords takes the log's tail apart.
func (l *oplog) tailRecords(tail []*segment) (recs []logRecord, err error) {
	for _, s := range tail {
		v, err := s.view()
		if err == nil {
			err = l.allIDs(v)
		}
		for i := uint32(0); i < s.n && err == nil; i++ {
			var rec logRecord
			rec, err = v.record(i)
			recs = append(recs, rec)
		}
		if err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// record returns a commit as it was written.
func (v *segView) record(i uint32) (rec logRecord, err error) {
	x := v.rec(i)
	rec = logRecord{id: v.rec(i).id, tree: v.tree(i), time: x.time}
	if rec.parents, rec.base, err = v.parentsAndBase(i); err != nil {
		return rec, err
	}
	for k, p := range rec.parents {
		if !p.native && p.num >= v.first {
			rec.parents[k].id = v.rec(p.num - v.first).id
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
	// recordEpoch begins an epoch: an epochHead. What follows belongs to it.
	recordEpoch = 2
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
func (l *oplog) publish(st *stagedLog, refs []RefUpdate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range refs {
		if u.New.IsZero() {
			delete(l.heads, u.Name)
		} else {
			l.heads[u.Name] = u.New
		}
	}
	if len(st.segs) == 0 {
		return nil
	}
	if st.folded > 0 {
		for _, s := range l.segs[len(l.segs)-st.folded:] {
			l.bytes -= int64(len(s.raw))
		}
		l.segs = l.segs[:len(l.segs)-st.folded]
		l.tail = nil
	}
	for _, x := range st.segs {
		s, keys, err := parseSegment(x.raw)
		if err != nil {
			return err
		}
		l.add(s, keys[min(len(keys), max(0, len(l.keys)-int(s.firstKey))):], x.parts)
	}
	if st.moved {
		clear(l.rest)
		l.room.rest = l.rest[:0]
	}
	l.rest = st.rest
	first := l.n - uint32(len(st.ids))
	for i := max(0, len(st.ids)-maxRemembered); i < len(st.ids); i++ {
		l.remember(st.ids[i], first+uint32(i))
	}
	for _, x := range st.states {
		l.remember(x.id, x.num)
		l.states.add(x.num, x.root, x.cost)
		l.lately = append(l.lately, x.num)
	}
	// Each of them holds what the next one changed.
	for len(l.lately) > max(maxLately, 2*len(st.states)) {
		l.states.drop(l.lately[0])
		l.lately = l.lately[1:]
	}
	l.pool.add(st.made)
	return nil
}

// maxLately bounds the states of new commits that are kept, unless one group has
// more.
const maxLately = 4

// maxRemembered bounds the commits of one group whose numbers are remembered.
const maxRemembered = 64
