package openrepo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// gitDirectory finds the Git directory that a path means, and the HEAD to go
// with it: a work tree's .git, also where that is a file which names another
// place (submodules, linked work trees); else the path itself.
func gitDirectory(path string) (dir, head string, err error) {
	dot := filepath.Join(path, ".git")
	info, err := os.Stat(dot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, filepath.Join(path, "HEAD"), nil
	case err != nil:
		return "", "", err
	case info.IsDir():
		return dot, filepath.Join(dot, "HEAD"), nil
	}
	b, err := os.ReadFile(dot)
	if err != nil {
		return "", "", err
	}
	own := beside(path, strings.TrimPrefix(strings.TrimSpace(string(b)), "gitdir:"))
	dir = own
	if b, err := os.ReadFile(filepath.Join(own, "commondir")); err == nil {
		dir = beside(own, string(b))
	}
	return dir, filepath.Join(own, "HEAD"), nil
}

// beside returns a path that a file in dir names.
func beside(dir, path string) string {
	path = strings.TrimSpace(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// isBare reports whether a Git directory belongs to no work tree.
func isBare(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "config"))
	if err == nil {
		for line := range strings.Lines(string(b)) {
			name, value, ok := strings.Cut(line, "=")
			if ok && strings.EqualFold(strings.TrimSpace(name), "bare") {
				return strings.EqualFold(strings.TrimSpace(value), "true")
			}
		}
	}
	return filepath.Base(dir) != ".git"
}
