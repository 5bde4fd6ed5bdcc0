package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

const graphName = "objects/info/commit-graph"

// fresh are the commits of the epoch that was written last, which need not be
// looked for in its pack.
type fresh struct {
	epoch   int
	commits []vcs.ID
}

// graph brings the commit-graph up to date: it must hold the commits of every
// epoch that is there, and none of one that is not. Stale says that it may.
func (s *snapshot) graph(ctx context.Context, stale bool) error {
	if len(s.list) == 0 {
		return s.d.remove(s.d.at(graphName))
	}
	old, close, err := s.openGraph(ctx)
	if err != nil {
		return err
	}
	defer close()
	var graphs []*packfile.CommitGraph
	if old != nil {
		graphs = append(graphs, old)
	}
	for i, in := range s.list {
		if old != nil {
			if ok, err := old.Has(in.Head); err != nil {
				return err
			} else if ok {
				continue
			}
		}
		g, file, err := s.d.epochGraph(ctx, &in, s.packs[i].File)
		if err != nil {
			return fmt.Errorf("commit-graph of epoch %d: %w", in.Epoch, err)
		}
		defer file.Close()
		graphs = append(graphs, g)
	}
	s.d.fresh = fresh{}
	if old != nil && len(graphs) == 1 && !stale {
		return nil
	}
	var keep func(vcs.ID) (bool, error)
	if stale {
		keep = s.has
	}
	w, err := s.d.room(ctx, s.d.at("objects/info"), 0)
	if err != nil {
		return err
	}
	defer w.discard()
	if err := packfile.MergeCommitGraphs(ctx, w, graphs, keep); err != nil {
		return err
	}
	path := s.d.at(graphName)
	s.d.files.used -= fileSize(path)
	if err := w.name(path); err != nil {
		return err
	}
	return s.d.files.syncDir(s.d.at("objects/info"))
}

// openGraph opens the commit-graph; nil when there is none, or none of use.
func (s *snapshot) openGraph(ctx context.Context) (g *packfile.CommitGraph, close func(), err error) {
	f, err := os.Open(s.d.at(graphName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, func() {}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("archive: %w", err)
	}
	close = func() { f.Close() }
	fi, err := f.Stat()
	if err == nil {
		g, err = packfile.OpenCommitGraph(f, fi.Size())
	}
	if err == nil {
		err = g.Verify(ctx)
	}
	if err == nil {
		return g, close, nil
	}
	close()
	if !errors.Is(err, packfile.ErrGraph) {
		return nil, nil, err
	}
	s.d.cfg.Logger.Warn("archive: the commit-graph is made anew", "err", err)
	return nil, func() {}, nil
}

// epochGraph makes the commit-graph of one epoch in a scratch file.
func (d *Dir) epochGraph(ctx context.Context, in *Info, pack *packfile.File) (*packfile.CommitGraph, io.Closer, error) {
	commits := d.fresh.commits
	if d.fresh.epoch != in.Epoch {
		commits = make([]vcs.ID, 0, in.Commits)
		err := pack.Verify(ctx, func(e packfile.Entry) error {
			if e.Kind == vcs.KindCommit {
				commits = append(commits, e.ID)
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	scratch, err := d.scratch()
	if err != nil {
		return nil, nil, err
	}
	defer scratch.Close()
	out, err := d.scratch()
	if err != nil {
		return nil, nil, err
	}
	err = packfile.WriteCommitGraph(ctx, out, pack, commits, scratch)
	var g *packfile.CommitGraph
	if err == nil {
		var n int64
		if n, err = out.Seek(0, io.SeekCurrent); err == nil {
			g, err = packfile.OpenCommitGraph(out, n)
		}
	}
	if err != nil {
		out.Close()
		return nil, nil, err
	}
	return g, out, nil
}
