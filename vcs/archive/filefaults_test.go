package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// TestFileFaults lets every call fail with which an archive is made, takes
// epochs in, and is opened again.
func TestFileFaults(t *testing.T) {
	p := newPast(t)
	for seed := range uint64(2) {
		p.live(seed, 12)
	}
	f := vcstest.FileFaults{Use: p.useArchive, Check: p.checkArchive, Points: 40}
	f.Tolerated = func(c vcstest.FileCall) bool {
		switch {
		case errors.Is(c.Err, syscall.ENOSPC):
			return true // it makes room and tries again
		case strings.HasSuffix(c.Path, " (deleted)"):
			return c.Name == "close" // of a scratch file
		}
		// A small file that cannot be read is written again.
		return c.Reads || c.Name == "unlinkat" && strings.HasPrefix(filepath.Base(c.Path), "tmp_")
	}
	if os.Getenv("SOAK") != "" {
		f.Points = 0
	}
	f.Run(t)
}

func (p *past) useArchive(ctx context.Context, run *vcstest.FileRun) error {
	// The first failure is the injected one, the second one is none.
	insist := func(fn func() error) error {
		err := fn()
		if err == nil {
			return nil
		}
		run.Failed(err)
		return fn()
	}
	for range 2 {
		var d *Dir
		err := insist(func() (err error) {
			d, err = Open(run.Dir, Config{})
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range p.epochs {
			err := insist(func() error {
				_, err := d.Archive(ctx, e, p.source(e))
				return err
			})
			if err != nil {
				return err
			}
			run.Ack(strconv.Itoa(e.Number))
		}
	}
	return nil
}

func (p *past) checkArchive(ctx context.Context, dir string, acked []string) error {
	d, err := Open(dir, Config{})
	if err != nil {
		return err
	}
	for _, text := range acked {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		old, err := d.Epoch(ctx, n)
		if err != nil {
			return fmt.Errorf("epoch %d was archived: %w", n, err)
		}
		rep, err := vcs.Verify(ctx, old, p.epochs[n-1].Heads, nil)
		if err == nil && !rep.OK() {
			err = errors.New(rep.String())
		}
		for _, id := range p.acked[n-1] {
			if err == nil {
				_, _, err = old.ReadObject(id)
			}
		}
		if err = errors.Join(err, old.Close()); err != nil {
			return fmt.Errorf("epoch %d was archived: %w", n, err)
		}
	}
	for _, e := range p.epochs {
		if _, err := d.Archive(ctx, e, p.source(e)); err != nil {
			return fmt.Errorf("archive it again: %w", err)
		}
	}
	return nil
}
