package badger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// fullEnv makes the test binary a process that runs a store on a small disk of
// its own until that is full, and beyond.
const fullEnv = "ARPEGGIO_TEST_BADGER_FULL"

// TestFullDisk fills a file system of 96 MiB under a store: first by writing to
// it, then with somebody else's file to the last byte. Badger writes through
// memory maps, so a block that cannot be had would end the process.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fullEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "cannot mount") {
		t.Skipf("no mounts here: %s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func fillDisk(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot mount: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		return fmt.Errorf("cannot mount: %w", err)
	}
	ctx := context.Background()
	store, ballast := filepath.Join(dir, "store"), filepath.Join(dir, "ballast")
	// What is left free is enough for a Close, which flushes, at any time.
	open := func() (*badger.Backend, error) { return badger.Open(ctx, store, badger.Config{MinFree: 28 << 20}) }
	b, err := open()
	if err != nil {
		return err
	}
	rnd := rand.NewChaCha8([32]byte{1})
	written := 0
	write := func() error {
		rec := make([]byte, vcs.MaxRecord)
		if _, err := rnd.Read(rec); err != nil {
			return err
		}
		err := b.Apply(ctx, &vcs.Batch{Log: [][]byte{rec}})
		if err == nil {
			written++
		}
		return err
	}
	for err = write(); err == nil; err = write() {
	}
	if !errors.Is(err, badger.ErrNoSpace) {
		return fmt.Errorf("writing until the disk is full: %w", err)
	}
	fmt.Printf("%d records until the disk was full\n", written)
	check := func(when string) error {
		if err := write(); !errors.Is(err, badger.ErrNoSpace) {
			return fmt.Errorf("%s: writing to a full disk: %w", when, err)
		}
		st, err := b.Load(ctx)
		if err != nil {
			return err
		}
		n := 0
		for _, err := range st.Log {
			if err != nil {
				return fmt.Errorf("%s: reading: %w", when, err)
			}
			n++
		}
		if n != written {
			return fmt.Errorf("%s: %d records of %d", when, n, written)
		}
		return nil
	}
	// A stranger who takes the last block from under a compaction ends the
	// process.
	rest := func() error { return badger.AtRest(b, time.Minute) }
	for range 2 {
		if err := rest(); err != nil {
			return err
		}
		// Somebody else takes what is left, while the store is open and while it
		// is opened.
		if err := fill(ballast); err != nil {
			return err
		}
		if err := check("filled while open"); err != nil {
			return err
		}
		if err := errors.Join(os.Remove(ballast), b.Close(), fill(ballast)); err != nil {
			return err
		}
		if b, err = open(); err != nil {
			return fmt.Errorf("opening on a full disk: %w", err)
		}
		if rep := b.Report(); !rep.OK() {
			return fmt.Errorf("opened on a full disk: %v", rep.String())
		}
		if err := check("filled before it was opened"); err != nil {
			return err
		}
		if err := os.Remove(ballast); err != nil {
			return err
		}
	}
	// What is dropped makes room for more.
	if err := b.Close(); err != nil {
		return err
	}
	if b, err = badger.Open(ctx, store, badger.Config{MinFree: 1 << 20}); err != nil {
		return err
	}
	if err := b.Apply(ctx, &vcs.Batch{Drop: written - 10}); err != nil {
		return err
	}
	written = 10
	for range 30 {
		if err := write(); err != nil {
			return fmt.Errorf("after a drop: %w", err)
		}
	}
	if err := errors.Join(rest(), fill(ballast)); err != nil { // the drop makes for compactions
		return err
	}
	if err := b.Close(); !errors.Is(err, badger.ErrNoSpace) {
		return fmt.Errorf("closing on a full disk: %w", err)
	}
	return nil
}

// fill writes to a file until there is no room for more.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("ballast: %w", err)
	}
	return nil
}
