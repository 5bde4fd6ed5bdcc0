package vcs

// sleep gives back all that can be made again from the segments: what an epoch
// that has ended costs while nobody reads it is its bytes. The lock is held.
func (l *oplog) sleep() {
	if l.asleep {
		return
	}
	l.asleep, l.awoke = true, false
	l.keys, l.keyNo = nil, make(map[string]uint32)
	l.recent, l.older = make(map[ID]uint32), nil
	l.states, l.recall = stateCache{}, nodeCache{}
	l.heads, l.pool, l.rest = make(map[string]ID), nodePool{}, nil
	l.hints, l.scanned = hintTable{}, 0
	l.views, l.viewed = nil, 0
	for _, s := range l.segs {
		s.marks.Store(nil)
	}
	l.touches, l.lastChain = touchIndex{}, fileChain{}
	l.messages, l.values, l.room = textDict{}, textDict{}, logRoom{}
}

// wake undoes sleep, as far as that is not done by reading. The lock is held.
func (l *oplog) wake() {
	l.awoke = true
	if !l.asleep {
		return
	}
	l.asleep = false
	for _, s := range l.segs {
		_, keys, err := parseSegment(s.raw)
		if err != nil {
			continue // it was whole when it was loaded
		}
		l.addKeys(s.firstKey, keys)
	}
}

// addKeys gives keys their numbers. Numbers before the first, whose segments are
// missing, stay without a key.
func (l *oplog) addKeys(first uint32, keys []string) {
	if n := uint32(len(l.keys)); n < first {
		l.keys = append(l.keys, make([]string, first-n)...)
	}
	for _, k := range keys {
		if _, ok := l.keyNo[k]; !ok {
			l.keyNo[k] = uint32(len(l.keys))
		}
		l.keys = append(l.keys, k)
	}
}
