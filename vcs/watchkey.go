package vcs

import "context"

// KeyEvent is one change of one key on a branch.
type KeyEvent[V any] struct {
	OldHead, NewHead ID // zero when the branch was created or deleted
	Old, New         Opt[V]
}

// KeyWatcher delivers the changes of one key on one branch.
type KeyWatcher[K comparable, V any] struct {
	w   *Watcher
	r   *Repo[K, V]
	key K
}

// Watch watches all branches and tags; see Watcher.
func (r *Repo[K, V]) Watch() *Watcher { return r.s.Watch("") }

// WatchBranch watches one branch.
func (r *Repo[K, V]) WatchBranch(branch string) *Watcher { return r.s.Watch(BranchRef(branch)) }

// WatchKey watches one key on one branch: each move of the branch that changes
// the key is one event, also when it spans several commits.
func (r *Repo[K, V]) WatchKey(branch string, k K) *KeyWatcher[K, V] {
	return &KeyWatcher[K, V]{r.WatchBranch(branch), r, k}
}

// Next returns the next change; see Watcher.Next. An error of a read is
// returned once, with the heads, and the watcher goes on.
func (w *KeyWatcher[K, V]) Next(ctx context.Context) (KeyEvent[V], error) {
	for {
		e, err := w.w.Next(ctx)
		if err != nil {
			return KeyEvent[V]{}, err
		}
		ev, changed, err := w.compare(e)
		if changed || err != nil {
			return ev, err
		}
	}
}

func (w *KeyWatcher[K, V]) compare(e Event) (ev KeyEvent[V], changed bool, err error) {
	ev.OldHead, ev.NewHead = e.Old, e.New
	path := w.r.cfg.Layout.Path(w.key)
	var ids [2]ID
	for i, head := range []ID{e.Old, e.New} {
		snap, err := w.r.AtCommit(head)
		if err != nil {
			return ev, false, err
		}
		entry, ok, err := snap.Stat(path)
		if err != nil {
			return ev, false, err
		}
		if !ok || entry.Mode.Kind() != KindBlob {
			continue
		}
		ids[i] = entry.ID
		v, err := w.r.decode(w.r.s, path, entry.ID)
		if err != nil {
			return ev, false, err
		}
		if i == 0 {
			ev.Old = Some(v)
		} else {
			ev.New = Some(v)
		}
	}
	return ev, ids[0] != ids[1], nil
}

// Close ends the watcher.
func (w *KeyWatcher[K, V]) Close() { w.w.Close() }
