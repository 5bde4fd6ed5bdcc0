package openrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"arpeggio/vcs/gitremote"
)

// mirror returns the directory that mirrors something of that name.
func (r *Repo) mirror(name string) (string, error) {
	root := r.opt.CacheDir
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a place for mirrors: %w", err)
		}
		root = filepath.Join(cache, "arpeggio")
	}
	root = filepath.Join(root, "mirrors")
	// Who is on a network is nobody else's business.
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(root, slug(name)), nil
}

// slug makes a file name of any name: readable, and unique by a hash.
func slug(name string) string {
	sum := sha256.Sum256([]byte(name))
	readable := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
			return c
		}
		return '_'
	}, name)
	if n := len(readable) - 60; n > 0 {
		readable = readable[n:]
	}
	return strings.Trim(readable, "._-") + "-" + hex.EncodeToString(sum[:6]) + ".git"
}

// openURL brings the mirror up to date and opens it.
func (r *Repo) openURL(ctx context.Context) error {
	r.Kind = URL
	switch {
	case r.opt.Write && r.opt.Offline && r.opt.Deliver:
		return fmt.Errorf("%s %w with --offline: what is written is sent there", withoutSecret(r.Location), ErrReadOnly)
	case r.opt.Write && !r.opt.Deliver:
		return r.Writable()
	}
	r.source = source{r.Location, r.opt.Fetch}
	dir, err := r.mirror(withoutSecret(r.Location))
	if err != nil {
		return err
	}
	if !r.opt.Offline {
		err = r.fetch(ctx, dir)
	} else if _, serr := os.Stat(dir); serr != nil {
		err = fmt.Errorf("%s is %w: name it once without --offline", withoutSecret(r.Location), ErrNoMirror)
	}
	if err != nil {
		return err
	}
	return r.openGit(ctx, dir, filepath.Join(dir, "HEAD"))
}

func (r *Repo) fetch(ctx context.Context, dir string) error {
	_, err := gitremote.Fetch(ctx, r.source.url, dir, r.source.opt)
	if errors.Is(err, gitremote.ErrUnreachable) && r.Kind == URL {
		if _, serr := os.Stat(filepath.Join(dir, "HEAD")); serr == nil {
			return fmt.Errorf("%w; --offline uses what was fetched before", err)
		}
	}
	return err
}

// withoutSecret drops a user's password from a URL, so that it is neither shown
// nor part of a name.
func withoutSecret(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.User == nil {
		return location
	}
	u.User = url.User(u.User.Username())
	return u.String()
}

// openDisk exports a data disk, unless that was done since it last changed, and
// opens the copy.
func (r *Repo) openDisk(ctx context.Context, info os.FileInfo) error {
	r.Kind = Disk
	if r.opt.Write { // rather than after a guest was booted for it
		return r.Writable()
	}
	path, err := filepath.Abs(r.Location)
	if err != nil {
		return err
	}
	dir, err := r.mirror(path)
	if err != nil {
		return err
	}
	// The size and time of the disk after its export, which may have written
	// to it: recovery does.
	stamp := dir + ".stamp"
	have, err := os.ReadFile(stamp)
	switch {
	case err == nil && (r.opt.Offline || string(have) == stampOf(info)):
		return r.openGit(ctx, dir, filepath.Join(dir, "HEAD"))
	case r.opt.Offline:
		return fmt.Errorf("%s is %w: name it once without --offline", r.Location, ErrNoMirror)
	case r.opt.Export == nil:
		return fmt.Errorf("%w: %s is a file; name a directory or a URL", ErrNoRepository, r.Location)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "export-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := r.opt.Export(ctx, path, fresh); err != nil {
		return err
	}
	if info, err = os.Stat(path); err != nil {
		return err
	}
	if err := os.Remove(stamp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return err
	}
	if err := os.WriteFile(stamp, []byte(stampOf(info)), 0o600); err != nil {
		return err
	}
	return r.openGit(ctx, dir, filepath.Join(dir, "HEAD"))
}

func stampOf(info os.FileInfo) string {
	return fmt.Sprintf("%d octets, changed %d\n", info.Size(), info.ModTime().UnixNano())
}
