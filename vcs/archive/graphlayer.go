package archive

import (
	"context"
	"fmt"
	"io"
	"os"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// fresh is the commit-graph of the epoch that is being archived.
type fresh struct {
	epoch int
	graph *os.File
}

func (f *fresh) close() {
	if f.graph != nil {
		f.graph.Close()
	}
	*f = fresh{}
}

// trust remembers that a file of the commit-graph was read and is whole.
func (d *Dir) trust(sum vcs.ID) {
	if d.sound == nil || len(d.sound) > 4*maxLayers {
		d.sound = make(map[vcs.ID]bool)
	}
	d.sound[sum] = true
}

// layer is one file of a commit-graph.
type layer struct {
	chain *packfile.GraphChain
	at    int
}

// layers are the files of the next commit-graph. Those that are new lie in
// scratch files, each without another one below it, until they have a name.
type layers struct {
	d     *Dir
	list  []layer
	files []*os.File
}

func (m *layers) close() {
	for _, f := range m.files {
		f.Close()
	}
}

// scratch makes a file that is closed with the layers.
func (m *layers) scratch() (*os.File, error) {
	f, err := m.d.scratch()
	if err == nil {
		m.files = append(m.files, f)
	}
	return f, err
}

// add appends a file that builds on no other.
func (m *layers) add(f *os.File) error {
	l, err := alone(f)
	if err == nil {
		m.list = append(m.list, l)
	}
	return err
}

// alone opens a file that builds on no other.
func alone(f *os.File) (layer, error) {
	fi, err := f.Stat()
	if err != nil {
		return layer{}, fmt.Errorf("archive: %w", err)
	}
	chain, err := packfile.OpenGraphChain([]io.ReaderAt{f}, []int64{fi.Size()})
	return layer{chain, 0}, err
}

// graph returns a layer as a graph that builds on no other.
func (m *layers) graph(ctx context.Context, l layer) (*packfile.CommitGraph, error) {
	if l.at > 0 {
		f, err := m.scratch()
		if err != nil {
			return nil, err
		}
		if err := l.chain.CopyLayer(ctx, f, l.at, new(packfile.GraphChain)); err != nil {
			return nil, err
		}
		if l, err = alone(f); err != nil {
			return nil, err
		}
	}
	return l.chain.Layer(0), nil
}

// filter appends what some want of a layer.
func (m *layers) filter(ctx context.Context, chain *packfile.GraphChain, at int, keep func(vcs.ID) (bool, error)) error {
	return m.merge(ctx, []layer{{chain, at}}, keep)
}

// merge appends one layer made of several.
func (m *layers) merge(ctx context.Context, of []layer, keep func(vcs.ID) (bool, error)) error {
	var graphs []*packfile.CommitGraph
	for _, l := range of {
		g, err := m.graph(ctx, l)
		if err != nil {
			return err
		}
		graphs = append(graphs, g)
	}
	f, err := m.scratch()
	if err == nil {
		err = packfile.MergeCommitGraphs(ctx, f, graphs, keep)
	}
	if err != nil {
		return err
	}
	return m.add(f)
}

// fold makes the oldest layers one when there are too many.
func (m *layers) fold(ctx context.Context) error {
	if len(m.list) <= maxLayers {
		return nil
	}
	all := m.list
	m.list = nil
	if err := m.merge(ctx, all[:maxLayers/2], nil); err != nil {
		return err
	}
	m.list = append(m.list, all[maxLayers/2:]...)
	return nil
}

// name gives a layer its place on others and its name, and puts it there.
func (m *layers) name(ctx context.Context, l layer, on *packfile.GraphChain) (sum vcs.ID, err error) {
	if err := m.d.files.mkdir(m.d.at(graphDir)); err != nil {
		return sum, fmt.Errorf("archive: %w", err)
	}
	w, err := m.d.room(ctx, m.d.at(graphDir), 0)
	if err != nil {
		return sum, err
	}
	defer w.discard()
	if err := l.chain.CopyLayer(ctx, w, l.at, on); err != nil {
		return sum, err
	}
	if _, err := w.tmp.ReadAt(sum[:], w.n-int64(len(sum))); err != nil {
		return sum, fmt.Errorf("archive: %w", err)
	}
	m.d.trust(sum)
	path := m.d.at(layerName(sum))
	m.d.files.used -= fileSize(path)
	if err := w.name(path); err != nil {
		return sum, err
	}
	return sum, m.grow(on, sum)
}

// grow puts a file that has its name on top of a chain.
func (m *layers) grow(chain *packfile.GraphChain, sum vcs.ID) error {
	f, err := os.Open(m.d.at(layerName(sum)))
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	m.files = append(m.files, f)
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return chain.Grow(f, fi.Size())
}

// epochGraph makes the commit-graph of an epoch from its pack, in a scratch file.
func (d *Dir) epochGraph(ctx context.Context, in *Info, pack *packfile.File) (*os.File, error) {
	commits := make([]vcs.ID, 0, in.Commits)
	err := pack.Verify(ctx, func(e packfile.Entry) error {
		if e.Kind == vcs.KindCommit {
			commits = append(commits, e.ID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return d.makeGraph(ctx, func(ctx context.Context, w io.Writer, scratch packfile.Scratch) error {
		return packfile.WriteCommitGraph(ctx, w, pack, commits, scratch)
	})
}

// graphJob makes a commit-graph in a scratch file, beside other work.
type graphJob struct {
	cancel       context.CancelFunc
	done         chan error
	out, scratch *os.File
}

func (d *Dir) startGraph(ctx context.Context, write func(context.Context, io.Writer, packfile.Scratch) error) (*graphJob, error) {
	j := &graphJob{done: make(chan error, 1)}
	var err error
	if j.scratch, err = d.scratch(); err == nil {
		j.out, err = d.scratch()
	}
	if err != nil {
		if j.scratch != nil {
			j.scratch.Close()
		}
		return nil, err
	}
	ctx, j.cancel = context.WithCancel(ctx)
	go func() { j.done <- write(ctx, j.out, j.scratch) }()
	return j, nil
}

// wait returns the file when it is written.
func (j *graphJob) wait() (*os.File, error) {
	err := <-j.done
	out := j.out
	if err == nil {
		j.out = nil
	}
	j.done <- err
	j.close()
	return out, err
}

// close ends the job unless it is done.
func (j *graphJob) close() {
	if j == nil || j.scratch == nil {
		return
	}
	j.cancel()
	<-j.done
	j.scratch.Close()
	j.scratch = nil
	if j.out != nil {
		j.out.Close()
	}
}

func (d *Dir) makeGraph(ctx context.Context, write func(context.Context, io.Writer, packfile.Scratch) error) (*os.File, error) {
	j, err := d.startGraph(ctx, write)
	if err != nil {
		return nil, err
	}
	return j.wait()
}
