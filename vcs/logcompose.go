package vcs

import "unsafe"

// texts writes message and values.
func (st *stager) texts(rec *logRecord, message string, changes []leafChange) {
	ctx := &st.ctx
	ctx.leaf, ctx.time, ctx.self = "", rec.time, true
	ctx.message, ctx.said = nil, ctx.said[:0]
	ctx.old.set("")
	if len(changes) > 0 {
		ctx.leaf = leafName(changes[0].path)
	}
	if rec.raw == nil {
		rec.message = st.write(&st.messages, message)
		ctx.message = st.messages.last()
	}
	ctx.self = false
	rec.changes = room(&st.changes, len(changes), st.likely)
	for i := range changes {
		x, out := &changes[i], &rec.changes[i]
		out.key = st.keyOf(x)
		if x.now == nil {
			out.kind = changeRemove
			continue
		}
		switch x.now.mode {
		case ModeSubmodule:
			out.kind, out.link = changeLink, x.now.id
			continue
		case ModeFile:
		default:
			out.kind, out.mode = changeMode, x.now.mode
		}
		ctx.leaf = leafName(x.path)
		ctx.old.set(asString(fileOf(x.old)))
		out.text = st.write(&st.values, asString(x.now.file()))
	}
}

// write is textDict.write, checked by reading it back.
func (st *stager) write(d *textDict, text string) written {
	w, p := d.write(&st.ctx, text)
	back := byteReader{b: w.args}
	st.ctx.said = st.ctx.said[:0]
	st.text = st.ctx.render(st.text[:0], p, &back)
	if back.err == nil && string(st.text) == text {
		return w
	}
	return written{patchProgram, appendPatch(nil, st.ctx.old.text, text)}
}

// keyOf returns the number of a path. The file that was there has it at hand,
// unless it was put there from another path or epoch.
func (st *stager) keyOf(x *leafChange) (k uint32) {
	if x.old != nil && x.old.key > 0 && st.keyAt(x.old.key-1) == x.path {
		k = x.old.key - 1
	} else {
		k = st.findKey(x.path)
	}
	if x.now != nil {
		x.now.key = k + 1
	}
	return k
}

// keyAt returns the path of a number, nothing when there is none.
func (st *stager) keyAt(k uint32) string {
	if k < uint32(len(st.keys)) {
		return st.keys[k]
	}
	if k -= uint32(len(st.keys)); k < uint32(len(st.out.keys)) {
		return st.out.keys[k]
	}
	return ""
}

func (st *stager) findKey(path string) uint32 {
	if k, ok := st.oplog.keyNo[path]; ok {
		return k
	}
	k, ok := st.keyNo[path]
	if !ok {
		k = uint32(len(st.keys) + len(st.out.keys))
		st.keyNo[path] = k
		st.out.keys = append(st.out.keys, path)
	}
	return k
}

// asString is the text of a file, which never changes.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
