package gitremote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing/format/config"
)

const (
	configText = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	// descriptionText is what gitweb and friends show.
	descriptionText = "Written by arpeggio: a mirror, do not push here.\n"

	packDir = "objects/pack"
	// tmpPrefix begins the names of our temporary files. git gc removes old
	// files of this form too.
	tmpPrefix = "tmp_arpeggio_"
)

// initNames are the names that initialise creates, in order. HEAD is last: a
// directory without it is no repository yet, and is completed on the next try.
var initNames = []string{"objects", "refs", "config", "description", "HEAD"}

// checkRepository reports whether dir is a bare repository (nil), could be made
// one (an error that wraps fs.ErrNotExist), or is something else.
func checkRepository(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("gitremote: %w", err)
		}
		return fmt.Errorf("%w: %w", ErrNotRepository, err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	if has("HEAD") && has("objects") && has("refs") {
		return checkConfig(dir)
	}
	if has(".git") {
		return fmt.Errorf("%w: %s is a work tree; name %s or another directory",
			ErrNotRepository, dir, filepath.Join(dir, ".git"))
	}
	for _, e := range entries {
		if !slices.Contains(initNames, e.Name()) && !strings.HasPrefix(e.Name(), tmpPrefix) {
			return fmt.Errorf("%w: %s holds other files (%s, for one); choose an empty or a new directory",
				ErrNotRepository, dir, e.Name())
		}
	}
	return fmt.Errorf("gitremote: %s is empty: %w", dir, fs.ErrNotExist)
}

// checkConfig refuses repository formats that cannot be read.
func checkConfig(dir string) error {
	f, err := os.Open(filepath.Join(dir, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // git accepts it too
	}
	if err != nil {
		return fmt.Errorf("gitremote: %w", err)
	}
	defer f.Close()
	cfg := config.New()
	if err := config.NewDecoder(f).Decode(cfg); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotRepository, f.Name(), err)
	}
	if format := cfg.Section("extensions").Option("objectformat"); format != "" && format != "sha1" {
		return fmt.Errorf("%w: %s uses object format %s; only sha1 is supported", ErrNotRepository, dir, format)
	}
	if s := cfg.Section("extensions").Option("refstorage"); s != "" && s != "files" {
		return fmt.Errorf("%w: %s stores its refs as %s; only files is supported", ErrNotRepository, dir, s)
	}
	return nil
}

// initialise makes dir a bare repository whose HEAD names the branch head. It
// can be repeated after a crash.
func initialise(dir, head string) error {
	for _, sub := range []string{packDir, "objects/info", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(sub)), 0o777); err != nil {
			return fmt.Errorf("gitremote: create repository: %w", err)
		}
	}
	for _, sub := range []string{"objects", "refs"} {
		if err := syncDir(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, text string }{
		{"config", configText}, {"description", descriptionText}, {"HEAD", headText(head)},
	} {
		if err := writeFile(filepath.Join(dir, f.name), []byte(f.text)); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

func headText(head string) string { return "ref: " + head + "\n" }

// defaultHead is the branch that HEAD names when nothing else is known.
const defaultHead = "refs/heads/primary"

// readHead returns the branch that HEAD names, "" when it is detached.
func readHead(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return "", fmt.Errorf("gitremote: %w", err)
	}
	name, ok := strings.CutPrefix(string(b), "ref:")
	if !ok {
		return "", nil
	}
	name = strings.TrimSpace(name)
	if err := vcs.CheckRefName(name); err != nil {
		return "", fmt.Errorf("gitremote: %s: HEAD: %w", dir, err)
	}
	return name, nil
}
