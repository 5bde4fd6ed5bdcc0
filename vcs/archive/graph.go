package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// The commit-graph is a chain of files, as git writes them with --split: one for
// each epoch, the oldest ones together when there are many. Commits of several
// epochs, such as those of a branch that goes on, are in the lowest file that
// needs them, and in no other: git's verify takes a second one for damage.
const (
	graphDir  = "objects/info/commit-graphs"
	chainName = graphDir + "/commit-graph-chain"
	// maxLayers bounds the files; half of them are made one beyond it.
	maxLayers = 64
)

func layerName(sum vcs.ID) string { return fmt.Sprintf("%s/graph-%v.graph", graphDir, sum) }

// graph brings the commit-graph up to date: it must hold the commits of every
// epoch that is there, and none of one that is not. Stale says that it may.
func (s *snapshot) graph(ctx context.Context, stale bool) error {
	old, err := s.openChain(ctx)
	if err != nil {
		return err
	}
	if !s.unnamed { // what a writer that died has left
		if err := s.removeGraph(s.sums); err != nil {
			return err
		}
	}
	made := &layers{d: s.d}
	defer made.close()
	if err := s.layers(ctx, old, made, stale); err != nil {
		return err
	}
	if err := made.fold(ctx); err != nil {
		return err
	}
	if len(made.list) == 0 {
		return s.removeGraph(nil)
	}
	var sums []vcs.ID
	done := new(packfile.GraphChain)
	for i, l := range made.list {
		if l.chain == old && l.at == i && s.same(i, sums) {
			if err := made.grow(done, s.sums[i]); err != nil {
				return err
			}
			sums = append(sums, s.sums[i])
			continue
		}
		sum, err := made.name(ctx, l, done)
		if err != nil {
			return err
		}
		sums = append(sums, sum)
	}
	if !slices.Equal(sums, s.sums) || s.unnamed {
		var text strings.Builder
		for _, sum := range sums {
			fmt.Fprintln(&text, sum)
		}
		if err := s.d.files.syncDir(s.d.at(graphDir)); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if err := s.d.files.write(s.d.at(chainName), []byte(text.String()), 0o444); err != nil {
			return err
		}
	}
	return s.removeGraph(sums)
}

// same reports whether the first files of a new chain are those of the old one.
func (s *snapshot) same(n int, sums []vcs.ID) bool {
	return len(sums) == n && slices.Equal(sums, s.sums[:n])
}

// layers finds or makes the files of all epochs.
func (s *snapshot) layers(ctx context.Context, old *packfile.GraphChain, made *layers, stale bool) error {
	covered := make([]bool, len(s.list))
	for i := range s.sums {
		g := old.Layer(i)
		epochs, commits := 0, 0
		for k, in := range s.list {
			if covered[k] || in.Epoch == s.d.fresh.epoch {
				continue
			}
			has, err := g.Has(in.Head)
			if err != nil {
				return err
			}
			if has {
				covered[k] = true
				epochs++
				commits += in.Commits
			}
		}
		switch {
		case epochs == 0: // it has left
		case stale && (epochs > 1 || g.Len() > commits):
			if err := made.filter(ctx, old, i, s.has); err != nil {
				return err
			}
		default:
			made.list = append(made.list, layer{old, i})
		}
	}
	for k, in := range s.list {
		if covered[k] {
			continue
		}
		f := s.d.fresh.graph
		if in.Epoch != s.d.fresh.epoch {
			var err error
			if f, err = s.d.epochGraph(ctx, &in, s.packs[k].File); err != nil {
				return fmt.Errorf("commit-graph of epoch %d: %w", in.Epoch, err)
			}
			made.files = append(made.files, f)
		}
		if err := made.add(f); err != nil {
			return err
		}
	}
	return nil
}

// openChain opens the commit-graph's files; an empty chain when there are none,
// or none of use. When its list has been removed, what it said is remembered.
func (s *snapshot) openChain(ctx context.Context) (*packfile.GraphChain, error) {
	if s.chain != nil {
		return s.chain, nil
	}
	text, err := os.ReadFile(s.d.at(chainName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("archive: %w", err)
	}
	err = s.openLayers(ctx, strings.Fields(string(text)), s.d.sound)
	if err != nil && !errors.Is(err, packfile.ErrGraph) && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		for _, sum := range s.sums {
			s.d.trust(sum)
		}
	} else {
		s.d.cfg.Logger.Warn("archive: the commit-graph is made anew", "err", err)
		s.sums, s.unnamed = nil, true
		s.chain, err = packfile.OpenGraphChain(nil, nil)
	}
	return s.chain, err
}

// openLayers opens files and reads those through that are not known to be sound.
func (s *snapshot) openLayers(ctx context.Context, names []string, sound map[vcs.ID]bool) error {
	var readers []io.ReaderAt
	var sizes []int64
	for _, name := range names {
		sum, err := vcs.ParseID(name)
		if err != nil {
			return fmt.Errorf("%w: its chain has the line %.60q", packfile.ErrGraph, name)
		}
		f, err := os.Open(s.d.at(layerName(sum)))
		if err != nil {
			return err
		}
		s.graphs = append(s.graphs, f)
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		s.sums, readers, sizes = append(s.sums, sum), append(readers, f), append(sizes, fi.Size())
	}
	chain, err := packfile.OpenGraphChain(readers, sizes)
	if err != nil {
		return err
	}
	for i, sum := range s.sums {
		if sound[sum] {
			continue
		}
		g := chain.Layer(i)
		if err := g.Verify(ctx); err != nil {
			return err
		}
		if has, err := g.Sum(); err != nil || has != sum {
			return fmt.Errorf("%w: the file %v has the name of another one (%w)", packfile.ErrGraph, sum, err)
		}
	}
	s.chain = chain
	return nil
}

// hideGraph takes the commit-graph out of git's sight.
func (s *snapshot) hideGraph() error {
	s.unnamed = true
	return s.d.remove(s.d.at(chainName))
}

// removeGraph removes the commit-graph's files but those of a chain.
func (s *snapshot) removeGraph(keep []vcs.ID) error {
	if len(keep) == 0 {
		if err := s.d.remove(s.d.at(chainName)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(s.d.at(graphDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("archive: %w", err)
	}
	for _, e := range entries {
		name := graphDir + "/" + e.Name()
		if name == chainName || slices.ContainsFunc(keep, func(sum vcs.ID) bool { return layerName(sum) == name }) {
			continue
		}
		if err := s.d.remove(s.d.at(name)); err != nil {
			return err
		}
	}
	return nil
}
