package archive

import (
	"bufio"
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

// bundleHeader returns the header of an epoch's bundle: HEAD and its branch, so
// that `git clone` checks it out, and the refs of the other format.
func bundleHeader(in *Info, wants []vcs.ID) string {
	var b strings.Builder
	b.WriteString("# v2 git bundle\n")
	fmt.Fprintf(&b, "%v HEAD\n", in.Head)
	if strings.HasPrefix(in.HeadRef, vcs.BranchRef("")) {
		fmt.Fprintf(&b, "%v %s\n", in.Head, in.HeadRef)
	}
	fmt.Fprintf(&b, "%v %s\n", in.Head, vcs.EpochRef(in.Epoch))
	for _, r := range in.Refs {
		if slices.Contains(wants, r.Target) {
			fmt.Fprintf(&b, "%v %s\n", r.Target, EpochHeadRef(in.Epoch, r.Name))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// publishBundle gives a bundle and its commit-graph their names.
func (r *reread) publishBundle(ctx context.Context, pack *room) error {
	d := r.d
	graph, err := d.room(ctx, d.path, r.in.Epoch)
	if err != nil {
		return err
	}
	defer graph.discard()
	fi, err := r.graph.Stat()
	if err == nil {
		_, err = io.Copy(graph, io.NewSectionReader(r.graph, 0, fi.Size()))
	}
	if err != nil {
		return err
	}
	r.in.Name = epochName(r.in.Epoch) + ".bundle"
	if err := graph.name(d.at(epochName(r.in.Epoch) + ".graph")); err != nil {
		return err
	}
	if err := pack.name(d.at(r.in.Name)); err != nil {
		return err
	}
	if err := d.files.syncDir(d.path); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// openBundle opens a bundle; its index is made in a scratch file, which takes a
// pass over the bundle.
func (d *Dir) openBundle(ctx context.Context, in *Info) (*opened, error) {
	f, err := os.Open(d.at(in.Name))
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	o := &opened{files: []*os.File{f}}
	if o.File, err = d.indexBundle(ctx, o, f); err != nil {
		o.Close()
		return nil, fmt.Errorf("%s: %w", in.Name, err)
	}
	return o, nil
}

// indexBundle leaves the index's file with o's.
func (d *Dir) indexBundle(ctx context.Context, o *opened, f *os.File) (*packfile.File, error) {
	pack, err := bundlePack(f)
	if err != nil {
		return nil, err
	}
	var files [2]*os.File // unsorted and sorted
	for i := range files {
		if files[i], err = os.CreateTemp("", tmpPrefix+"*"); err != nil {
			return nil, fmt.Errorf("archive: %w", err)
		}
		o.files = append(o.files, files[i])
		if err := os.Remove(files[i].Name()); err != nil {
			return nil, fmt.Errorf("archive: %w", err)
		}
	}
	x := packfile.NewIndexWriter(files[0])
	sum, err := packfile.Scan(ctx, pack, pack.Size(), d.fileConfig(), x.Add)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := x.WriteTo(files[1], sum); err != nil {
		return nil, err
	}
	fi, err := files[1].Stat()
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return packfile.OpenFile(pack, pack.Size(), files[1], fi.Size(), d.fileConfig())
}

// bundlePack returns the part of a bundle that is its pack.
func bundlePack(f *os.File) (*io.SectionReader, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	in := bufio.NewReader(f)
	if _, err := packfile.ReadBundleHeader(in); err != nil {
		if errors.Is(err, packfile.ErrBundle) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, err
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	at -= int64(in.Buffered())
	return io.NewSectionReader(f, at, fi.Size()-at), nil
}
