package archive

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// Archive implements vcs.Archiver. The error wraps vcs.ErrArchiveFull when the
// epoch alone needs more than there is room for, ErrNothing when it has no refs,
// and ErrLocked when another process writes.
func (d *Dir) Archive(ctx context.Context, e vcs.Epoch, src vcs.Source) (vcs.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	unlock, err := lock(d.path)
	if err != nil {
		return vcs.Receipt{}, err
	}
	defer unlock()
	if err := d.retry(ctx, e.Number, func() error { return d.recover(ctx) }); err != nil {
		return vcs.Receipt{}, err
	}
	in, wants, err := d.choose(ctx, e, src)
	if err != nil {
		return vcs.Receipt{}, err
	}
	if done := d.done(ctx, in); done != nil {
		return done.Receipt(), nil
	}
	if err := d.removeEpoch(ctx, e.Number); err != nil {
		return vcs.Receipt{}, err
	}
	if err := d.refuse(e); err != nil {
		return vcs.Receipt{}, err
	}
	defer d.fresh.close()
	err = d.retry(ctx, e.Number, func() error { return d.write(ctx, in, wants, src) })
	if err == nil {
		err = d.retry(ctx, e.Number, func() error { return d.settle(ctx) })
	}
	if err != nil {
		return vcs.Receipt{}, fmt.Errorf("archive epoch %d: %w", e.Number, err)
	}
	return in.Receipt(), nil
}

// done returns the archive that an earlier call left, if it is of the same refs
// and not damaged.
func (d *Dir) done(ctx context.Context, in *Info) *Info {
	old, err := d.info(in.Epoch)
	if err != nil || old.Head != in.Head || old.HeadRef != in.HeadRef || !slices.Equal(old.Refs, in.Refs) {
		return nil
	}
	if err := d.checkSum(ctx, old); err != nil {
		d.cfg.Logger.Warn("archive: an epoch is written again", "epoch", in.Epoch, "err", err)
		return nil
	}
	return old
}

// checkSum reads an epoch's file and compares its length and SHA-256.
func (d *Dir) checkSum(ctx context.Context, in *Info) error {
	f, err := os.Open(d.at(in.Name))
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, withContext{ctx, f})
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if n != in.Bytes || [32]byte(h.Sum(nil)) != in.SHA256 {
		return fmt.Errorf("%w: %s has %d bytes (of %d) and SHA-256 %x (not %x)", ErrDamaged, in.Name, n, in.Bytes, h.Sum(nil), in.SHA256)
	}
	return nil
}

// withContext ends reading with its context.
type withContext struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (r withContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// write makes an epoch's files and then its info file, with which it counts.
func (d *Dir) write(ctx context.Context, in *Info, wants []vcs.ID, src vcs.Source) error {
	pack, err := d.room(ctx, d.folder(), in.Epoch)
	if err != nil {
		return err
	}
	defer pack.discard()
	start, set, err := d.writePack(ctx, pack, in, wants, src)
	if err != nil {
		return err
	}
	in.SHA256, in.Bytes = [32]byte(pack.hash.Sum(nil)), pack.n
	r := reread{d: d, in: in, pack: io.NewSectionReader(pack.tmp, start, pack.n-start)}
	defer r.close()
	var graph *graphJob
	if r.told = set.TellsChanges(); r.told {
		if graph, err = d.startGraph(ctx, set.WriteCommitGraph); err != nil {
			return err
		}
		defer graph.close()
	}
	if err := r.index(ctx); err != nil {
		return err
	}
	if err := r.contains(wants); err != nil {
		return err
	}
	if !r.told {
		graph, err = d.startGraph(ctx, func(ctx context.Context, w io.Writer, scratch packfile.Scratch) error {
			return packfile.WriteCommitGraph(ctx, w, r.file, r.commits, scratch)
		})
		if err != nil {
			return err
		}
	}
	if r.graph, err = graph.wait(); err != nil {
		return err
	}
	if err := r.publish(ctx, pack); err != nil {
		return err
	}
	return d.files.write(d.at(infoName(in.Epoch)), in.encode(), 0o444)
}

// folder is where an epoch's files lie.
func (d *Dir) folder() string {
	if d.cfg.Format == Pack {
		return d.at(packDir)
	}
	return d.path
}

// writePack writes the pack, for a bundle after its header, and returns where it
// starts and what it is of.
func (d *Dir) writePack(ctx context.Context, w *room, in *Info, wants []vcs.ID, src vcs.Source) (start int64, set *packfile.Set, err error) {
	set, err = packfile.Select(ctx, src, packfile.Selection{Wants: wants})
	if err != nil {
		return 0, nil, err
	}
	for _, r := range in.Refs { // the tag of an older epoch's commit
		if r.Target != r.Peeled && !set.Has(r.Target) {
			if err := set.Add(r.Target); err != nil {
				return 0, nil, err
			}
		}
	}
	if d.cfg.Format == Bundle {
		if _, err := io.WriteString(w, bundleHeader(in, wants)); err != nil {
			return 0, nil, err
		}
	}
	start = w.n
	_, err = set.Write(w, packfile.Options{Level: d.cfg.Level})
	return start, set, err
}

// room is a new file that is written within the bounds of the archive.
type room struct {
	d      *Dir
	ctx    context.Context
	epoch  int // being written, not to be removed; 0: nothing may be removed
	tmp    *os.File
	n      int64
	hash   hash.Hash
	looked int64 // n+1 at the last look at the free space
	named  bool  // it has its name and stays
}

// room makes a temporary file for one of the epoch's files.
func (d *Dir) room(ctx context.Context, folder string, epoch int) (*room, error) {
	tmp, err := d.files.create(folder)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return &room{d: d, ctx: ctx, epoch: epoch, tmp: tmp, hash: sha256.New()}, nil
}

// Write implements io.Writer. It removes the oldest archives to keep the bounds.
func (w *room) Write(p []byte) (n int, err error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if err := w.d.makeRoom(w.ctx, w, int64(len(p))); err != nil {
		return 0, err
	}
	if err = w.d.files.check("write", w.tmp.Name()); err == nil {
		n, err = w.tmp.Write(p)
	}
	w.hash.Write(p[:n])
	w.n += int64(n)
	w.d.files.used += int64(n)
	if err != nil {
		return n, fmt.Errorf("archive: %w", err)
	}
	return n, nil
}

// name syncs the file and gives it its name.
func (w *room) name(path string) error {
	if err := w.d.files.finish(w.tmp, path, 0o444); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	w.named = true
	return nil
}

// discard drops the file unless it has got its name.
func (w *room) discard() {
	if !w.named {
		w.d.files.discard(w.tmp)
		w.d.files.used -= w.n
	}
}
