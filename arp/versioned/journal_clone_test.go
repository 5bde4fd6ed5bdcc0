package versioned

import (
	"context"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// What a stock clone receives of an observer's history is at most 600 octets a
// change, with the frame of each: 2,000 stations that come one by one, and then
// as many moves of them.
func TestJournalBytesOnTheWire(t *testing.T) {
	const stations, moves = 2000, 2000
	j, s := openJournal(t, mem.New(), JournalConfig{})
	at := time.Duration(0)
	for i := range stations {
		at += 1234567 * time.Microsecond
		write(t, j, sighted(at, fmt.Sprintf("10.9.%d.%d", i/250, i%250), mac(i*7919), ethernet.Addr{}))
	}
	for i := range moves {
		at += 1234567 * time.Microsecond
		n := i * 1031 % stations
		write(t, j, sighted(at, fmt.Sprintf("10.9.%d.%d", n/250, n%250), mac(1<<20+i*104729), mac(n*7919)))
	}
	if err := j.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: s}))
	defer srv.Close()
	dir := filepath.Join(t.TempDir(), "clone.git")
	vcstest.Git(t, t.TempDir(), "clone", "-q", "--bare", srv.URL, dir)
	vcstest.Git(t, dir, "fsck", "--strict")
	if got := vcstest.Git(t, dir, "rev-list", "--count", "primary"); got != fmt.Sprint(stations+moves) {
		t.Fatalf("%s commits", got)
	}
	var bytes int64
	err := filepath.WalkDir(filepath.Join(dir, "objects", "pack"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".pack") {
			info, err := d.Info()
			if err != nil {
				return err
			}
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	each := bytes / (stations + moves)
	t.Logf("%d octets a change", each)
	if each > 600 {
		t.Errorf("a clone received %d octets a change, at most 600 are wanted", each)
	}
	finish(t, j, s)
}
