package gitremote_test

import (
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/vcstest"
)

// TestImages opens what crashes and bad disks leave of a Git directory. The text
// files, in which Git keeps no checksums, are torn but not damaged: a flipped
// letter in the name of a ref is another name.
func TestImages(t *testing.T) {
	images, limit := 4000, 12*time.Second
	if os.Getenv("SOAK") != "" {
		images, limit = 20_000, 0
	}
	vcstest.Crash{
		Open: func(dir string) (vcs.Backend, vcstest.Found, error) {
			d, err := gitremote.CreateDir(dir, "refs/heads/primary")
			return d, vcstest.Found{}, err
		},
		Stage: func(name string) int {
			switch path.Ext(name) {
			case ".pack":
				return 1
			case ".idx":
				return 2
			}
			return 3
		},
		Temporary: func(name string) string {
			return path.Join(path.Dir(name), "tmp_arpeggio_1"+path.Ext(name))
		},
		Spare: func(name string) bool { return !strings.HasPrefix(name, "objects/") },
		Dirs:  []string{"objects/pack", "objects/info", "refs/heads", "refs/tags"},
		Check: func(t testing.TB, dir string) {
			vcstest.Git(t, dir, "fsck", "--strict", "--full", "--no-dangling")
		},
		Groups: 60,
		Images: images,
		Limit:  limit,
	}.Run(t)
}
