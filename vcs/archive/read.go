package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// Reader reads an archived epoch. It is safe for concurrent use; every
// object is checked against its name. It goes on when the archive is removed
// meanwhile.
type Reader interface {
	vcs.ObjectReader
	io.Closer
}

// OpenEpoch implements vcs.Archiver: what it returns is an Reader, which
// holds two or three files open until it is closed or collected, and a cache of
// Config.CacheBytes. A bundle is read once to index it, into the system's
// temporary directory. The error wraps ErrDamaged when the files are not whole.
func (d *Dir) OpenEpoch(ctx context.Context, e vcs.Epoch) (vcs.ObjectReader, error) {
	return d.Epoch(ctx, e.Number)
}

// Epoch is OpenEpoch by number. The error wraps vcs.ErrNotFound when the epoch is
// not there.
func (d *Dir) Epoch(ctx context.Context, epoch int) (Reader, error) {
	o, err := d.open(ctx, epoch)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: epoch %d is not in the archive %s", vcs.ErrNotFound, epoch, d.path)
		}
		return nil, err
	}
	return o, nil
}

func (d *Dir) open(ctx context.Context, epoch int) (*opened, error) {
	in, err := d.info(epoch)
	if err != nil {
		return nil, err
	}
	if d.cfg.Format == Bundle {
		return d.openBundle(ctx, in)
	}
	return d.openPack(in)
}

// Verify reads everything of an archived epoch: the info file, the SHA-256 of the
// pack or bundle, every object, and the index or the commit-graph beside it. The
// error wraps ErrDamaged, vcs.ErrNotFound when the epoch is not there, or is that
// of the files.
func (d *Dir) Verify(ctx context.Context, epoch int) (Info, error) {
	in, err := d.info(epoch)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("%w: epoch %d is not in the archive %s", vcs.ErrNotFound, epoch, d.path)
	}
	if err != nil {
		return Info{}, err
	}
	if err := d.verify(ctx, in); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return *in, fmt.Errorf("epoch %d: %w", epoch, err)
	}
	return *in, nil
}

func (d *Dir) verify(ctx context.Context, in *Info) error {
	if err := d.checkSum(ctx, in); err != nil {
		return err
	}
	o, err := d.open(ctx, in.Epoch)
	if err != nil {
		return err
	}
	defer o.Close()
	objects, commits := 0, 0
	err = o.Verify(ctx, func(e packfile.Entry) error {
		objects++
		if e.Kind == vcs.KindCommit {
			commits++
		}
		return nil
	})
	if err == nil && (objects != in.Objects || commits != in.Commits) {
		err = fmt.Errorf("it has %d objects and %d commits, not %d and %d", objects, commits, in.Objects, in.Commits)
	}
	if err == nil {
		err = d.verifyGraph(ctx, in)
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// verifyGraph checks the commit-graph that the epoch is in.
func (d *Dir) verifyGraph(ctx context.Context, in *Info) error {
	if d.cfg.Format == Pack {
		return d.verifyLayer(ctx, in)
	}
	f, err := os.Open(d.at(epochName(in.Epoch) + ".graph"))
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	g, err := packfile.OpenCommitGraph(f, fi.Size())
	if err == nil {
		err = g.Verify(ctx)
	}
	if err != nil {
		return err
	}
	if ok, err := g.Has(in.Head); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("its commit-graph lacks commit %v", in.Head))
	}
	return nil
}

// verifyLayer checks the file of the chain that the epoch is in.
func (d *Dir) verifyLayer(ctx context.Context, in *Info) error {
	s := snapshot{d: d}
	defer s.close()
	text, err := os.ReadFile(d.at(chainName))
	if err == nil {
		err = s.openLayers(ctx, strings.Fields(string(text)), nil)
	}
	if err != nil {
		return err
	}
	for i := range s.chain.Layers() {
		if ok, err := s.chain.Layer(i).Has(in.Head); err != nil || ok {
			return err
		}
	}
	return fmt.Errorf("the commit-graph lacks commit %v", in.Head)
}
