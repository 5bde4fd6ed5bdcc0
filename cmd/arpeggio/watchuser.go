package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"arpeggio/internal/observer"
	"arpeggio/stack/capture"
)

// watchUser is who watch runs as; nil: whoever started it.
type watchUser struct {
	name     string
	uid, gid int
}

// findUser looks up --user or its default.
func (c *watchCmd) findUser() (*watchUser, error) {
	root := os.Geteuid() == 0
	name := c.User
	switch {
	case name == "" && !root, name == "root":
		return nil, nil
	case !root:
		return nil, usagef("--user %s: only root can become somebody else", name)
	case name == "":
		name = "nobody"
		if uid, _, err := owner(c.Repo); err == nil && c.Repo != "" && uid != 0 {
			name = strconv.Itoa(uid)
		}
	}
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return nil, usagef("--user %s: there is no such user; root keeps all privileges", name)
		}
	}
	w := &watchUser{name: u.Username}
	w.uid, err = strconv.Atoi(u.Uid)
	if err == nil {
		w.gid, err = strconv.Atoi(u.Gid)
	}
	return w, err
}

// as says who it is, for people.
func (w *watchUser) as() string {
	if w == nil {
		return ""
	}
	return " as user " + w.name
}

// drop gives the directories of the history to the user and becomes that.
func (w *watchUser) drop(f *observeFlags) error {
	if w == nil {
		if os.Geteuid() == 0 {
			return nil
		}
		return observer.DropPrivileges(os.Getuid(), os.Getgid())
	}
	if f.Repo != "" {
		if uid, _, err := owner(filepath.Join(f.Repo, "HEAD")); err == nil && uid == 0 {
			// Root's git would not trust it any more if it were the user's.
			return withHint(fmt.Errorf("%s is a Git directory of root's, which %s cannot write", f.Repo, w.name),
				"chown -R %s %s, or --user root", w.name, f.Repo)
		}
		if err := w.give(f.Repo); err != nil {
			return err
		}
		if f.Archive == "" {
			if err := w.give(storeArchive(f.Repo)); err != nil {
				return err
			}
		}
	}
	if f.PcapSize > 0 {
		if err := w.giveRing(f.Pcap); err != nil {
			return err
		}
	}
	if err := observer.DropPrivileges(w.uid, w.gid); err != nil {
		return withHint(err, "--user root keeps all privileges")
	}
	if dir := filepath.Dir(f.Pcap); f.PcapSize > 0 && unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
		return withHint(fmt.Errorf("%s cannot make the files of a ring in %s", w.name, dir), "chown %s %s, choose another place with --pcap FILE, or --user root", w.name, dir)
	}
	return nil
}

// giveRing makes the files of a recording in a ring the user's, so that old ones can
// give way.
func (w *watchUser) giveRing(name string) error {
	files, err := capture.RingFiles(name)
	for _, f := range files {
		if uid, _, e := owner(f); err == nil && e == nil && uid == 0 {
			err = os.Lchown(f, w.uid, w.gid)
		}
	}
	return err
}

// give makes a directory the user's, if it is new or root's, and what root has
// left there: a command that root has run on it since, say.
func (w *watchUser) give(dir string) error {
	uid, _, err := owner(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	case uid != 0 && uid != w.uid:
		return nil
	}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid != 0 || !e.IsDir() && st.Nlink > 1 { // whose else the file is nobody knows
			return nil
		}
		return os.Lchown(path, w.uid, w.gid)
	})
}

// owner returns who owns a file.
func owner(path string) (uid, gid int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, errors.ErrUnsupported
	}
	return int(st.Uid), int(st.Gid), nil
}
