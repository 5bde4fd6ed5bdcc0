package archive

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// reread reads a pack that was just written back from its file, and makes what
// lies beside it.
type reread struct {
	d       *Dir
	in      *Info
	pack    *io.SectionReader
	sum     vcs.ID
	idx     *room // beside a pack
	idxFile *os.File
	file    *packfile.File
	told    bool     // the commit-graph is made of what the store tells
	commits []vcs.ID // if it is not
	graph   *os.File
}

// scratch makes a nameless temporary file.
func (d *Dir) scratch() (*os.File, error) {
	f, err := d.files.create(d.path)
	if err == nil {
		err = d.files.remove(f.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return f, nil
}

// index hashes every object and makes the index.
func (r *reread) index(ctx context.Context) error {
	scratch, err := r.d.scratch()
	if err != nil {
		return err
	}
	defer scratch.Close()
	x := packfile.NewIndexWriter(scratch)
	r.in.Commits = 0
	r.sum, err = packfile.Scan(ctx, r.pack, r.pack.Size(), r.d.fileConfig(), func(e packfile.Entry) error {
		if e.Kind == vcs.KindCommit {
			if r.in.Commits++; !r.told {
				r.commits = append(r.commits, e.ID)
			}
		}
		return x.Add(e)
	})
	if err != nil {
		return fmt.Errorf("archive: read back: %w", err)
	}
	r.in.Objects = x.Len()
	if r.d.cfg.Format == Bundle { // it is only needed for the commit-graph
		if r.idxFile, err = r.d.scratch(); err != nil {
			return err
		}
		err = x.WriteTo(r.idxFile, r.sum)
	} else {
		if r.idx, err = r.d.room(ctx, r.d.folder(), r.in.Epoch); err != nil {
			return err
		}
		r.idxFile = r.idx.tmp
		err = x.WriteTo(r.idx, r.sum)
	}
	if err != nil {
		return err
	}
	fi, err := r.idxFile.Stat()
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	r.file, err = packfile.OpenFile(r.pack, r.pack.Size(), r.idxFile, fi.Size(), r.d.fileConfig())
	return err
}

func (d *Dir) fileConfig() packfile.FileConfig {
	return packfile.FileConfig{CacheBytes: d.cfg.CacheBytes}
}

// contains checks that what the refs name is in the pack.
func (r *reread) contains(ids []vcs.ID) error {
	for _, id := range ids {
		switch ok, err := r.file.Has(id); {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("%w: %v is not in the pack", ErrDamaged, id)
		}
	}
	return nil
}

// publish gives the files their names. A pack's keep file comes first, which says
// whose the others are and holds git gc off; its index comes last.
func (r *reread) publish(ctx context.Context, pack *room) error {
	d := r.d
	if d.cfg.Format == Bundle {
		return r.publishBundle(ctx, pack)
	}
	r.in.Name = fmt.Sprintf("%s/pack-%v.pack", packDir, r.sum)
	path := d.at(r.in.Name)
	if err := d.files.write(swapExt(path, ".keep"), keepText(r.in.Epoch), 0o444); err != nil {
		return err
	}
	if err := pack.name(path); err != nil {
		return err
	}
	if err := r.idx.name(swapExt(path, ".idx")); err != nil {
		return err
	}
	if err := d.files.syncDir(d.folder()); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	d.fresh.close()
	d.fresh = fresh{r.in.Epoch, r.graph}
	r.graph = nil
	return nil
}

func swapExt(path, ext string) string { return path[:len(path)-len(filepath.Ext(path))] + ext }

func keepText(epoch int) []byte { return fmt.Appendf(nil, "arpeggio epoch %d\n", epoch) }

// keptEpoch reads a keep file; 0 is none of ours.
func keptEpoch(path string) (epoch int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(string(b), "arpeggio epoch %d\n", &epoch); err != nil {
		return 0, nil
	}
	return epoch, nil
}

func (r *reread) close() {
	if r.graph != nil {
		r.graph.Close()
	}
	switch {
	case r.idx != nil:
		r.idx.discard()
	case r.idxFile != nil:
		r.idxFile.Close()
	}
}
