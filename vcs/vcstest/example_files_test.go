package vcstest_test

import (
	"context"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// openDisk stands for a backend of your own that keeps its files in a directory.
func openDisk(context.Context, string) (vcs.Backend, error) { return mem.New(), nil }

// In the tests of a backend: open what crashes and bad disks leave of it.
func ExampleCrash() {
	_ = func(t *testing.T) { // TestImages
		vcstest.Crash{
			Open: func(dir string) (vcs.Backend, vcstest.Found, error) {
				b, err := openDisk(t.Context(), dir)
				return b, vcstest.Found{}, err
			},
			Images: 1000,
		}.Run(t)
	}
}

// In the tests of a backend: let each call that it makes fail.
func ExampleFileFaults() {
	_ = func(t *testing.T) { // TestFileFaults
		f := vcstest.BackendFileFaults(openDisk)
		f.Tolerated = func(c vcstest.FileCall) bool { return c.Reads && c.Name == "close" }
		f.Points = 100
		f.Run(t)
	}
}
