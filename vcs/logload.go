package vcs

import (
	"context"
	"fmt"
	"slices"
)

// OpenLog returns a reader of what a backend that implements LogKeeper holds:
// of the commits in its log, of all that they lead to, and of the objects that
// native keeps. It is for backends that check themselves; a Store has its own.
// Records that cannot be read are left out; the error is the context's or that
// of State.Log. The reader is safe for concurrent use.
func OpenLog(ctx context.Context, st State, native ObjectReader) (ObjectReader, error) {
	return loadLog(ctx, st, native)
}

func loadLog(ctx context.Context, st State, native ObjectReader) (*logs, error) {
	ls := newLogs(native.ReadObject)
	var whole []byte
	parts := 0
	for rec, err := range st.Log {
		if err != nil {
			return nil, fmt.Errorf("vcs: load: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		parts++
		if len(rec) == 0 {
			continue
		}
		if whole == nil && rec[0] != recordMore {
			whole = rec[1:]
		} else {
			whole = append(slices.Clip(whole), rec[1:]...)
		}
		if rec[0] == recordMore {
			continue
		}
		ls.load(rec[0], whole, parts)
		whole, parts = nil, 0
	}
	if st.Kept != nil {
		ls.kept, _ = ls.offer(st.Kept)
	}
	return ls, ctx.Err()
}

// LogDamage returns what a reader of OpenLog has found to be damaged in the log
// that it read: the first of the records that it left out.
func LogDamage(r ObjectReader) error {
	if ls, ok := r.(*logs); ok {
		return ls.damage
	}
	return nil
}

// readFrom makes logs read objects that they do not tell from n.
func (ls *logs) readFrom(n *natives) {
	ls.native = n.ReadObject
	for _, l := range ls.all {
		l.native, l.natives = n.ReadObject, n
	}
}
