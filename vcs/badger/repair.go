package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"arpeggio/vcs"
)

// asidePrefix begins the names of the folders in which damaged files are kept.
const asidePrefix = "damaged-"

// repair makes of a directory's files what badger opens without a surprise. It
// reads every table and every log through, because badger itself meets damage in
// goroutines of its own, where it ends the process.
//
// What a crash leaves is put in order and noted. Damaged files are set aside,
// each in a folder of the directory that says what happened; what can be read of
// them takes their place. Nothing that was ever acknowledged is deleted.
type repair struct {
	dir     string
	notes   []string
	damage  []vcs.Problem
	folder  string // of this time's files, "" as long as there are none
	changed bool
	doubt   bool // the tables are not those that the manifest named
}

// repairFiles repairs the files of a directory that nobody has open.
func repairFiles(dir string) (*repair, error) {
	r := &repair{dir: dir}
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err != nil && format(dir) == 0 {
		return r, nil // a new one
	}
	err := whileUnlocked(dir, func() error {
		for _, step := range []func() error{r.small, r.tables, r.report} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

func (r *repair) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *repair) broken(name, format string, args ...any) {
	r.damage = append(r.damage, vcs.Problem{Path: name, Err: fmt.Errorf("%w: "+format, append([]any{vcs.ErrCorrupt}, args...)...)})
}

// files lists the names with an ending, in order.
func (r *repair) files(ext string) ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("badger: %w", err)
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ext && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (r *repair) read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		return nil, fmt.Errorf("badger: %w", err)
	}
	return b, nil
}

// aside keeps a file, as it is now, in the folder of damaged files.
func (r *repair) aside(name string) error {
	for n := 1; r.folder == ""; n++ {
		folder := filepath.Join(r.dir, asidePrefix+strconv.Itoa(n))
		err := os.Mkdir(folder, 0o700)
		if err == nil {
			r.folder = folder
		} else if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("badger: set %s aside: %w", name, err)
		}
	}
	from, to := filepath.Join(r.dir, name), filepath.Join(r.folder, name)
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		// Not a link: the original may be cut off next.
		err = os.WriteFile(to, trimZeros(b), 0o600)
	}
	if err != nil {
		return fmt.Errorf("badger: set %s aside: %w", name, err)
	}
	return nil
}

func (r *repair) remove(name string) error {
	if err := os.Remove(filepath.Join(r.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("badger: %w", err)
	}
	r.changed = true
	return nil
}

// small looks after the files in which badger keeps nothing of ours: the keys of
// an encryption, the statistics of the value log, and that log. It makes them
// again.
func (r *repair) small() error {
	clean := map[string]func([]byte) bool{
		"KEYREGISTRY": func(b []byte) bool { return len(b) == 28 && string(b[16:]) == "Hello Badger" },
		discardName:   emptyDiscard,
	}
	if _, err := os.Stat(filepath.Join(r.dir, formatName)); err == nil && format(r.dir) != version {
		r.note("%s was damaged and is made again", formatName)
	}
	logs, err := r.files(".vlog")
	if err != nil {
		return err
	}
	for _, name := range logs {
		clean[name] = func(b []byte) bool {
			return len(b) >= walHeader && len(trimZeros(b[:walKey]))+len(trimZeros(b[walHeader:])) == 0
		}
	}
	for _, name := range slices.Sorted(maps.Keys(clean)) {
		b, err := r.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if clean[name](b) {
			continue
		}
		if len(b) > walHeader && filepath.Ext(name) == ".vlog" {
			if err := r.aside(name); err != nil {
				return err
			}
		}
		r.note("%s was not as it is left, and was made again", name)
		if err := r.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// report leaves a text with what was set aside.
func (r *repair) report() error {
	if r.folder == "" {
		if r.changed {
			return syncDir(r.dir)
		}
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: files of this store were damaged when it was opened.\n", time.Now().UTC().Format(time.RFC3339))
	for _, p := range r.damage {
		fmt.Fprintf(&b, "%v\n", p.String())
	}
	for _, n := range r.notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	b.WriteString("This folder holds them as they were. The store goes on with what can be read of them.\n" +
		"To go back, stop it and restore it from a snapshot or fetch what is missing from a clone; then this folder can be deleted.\n")
	if err := writeFile(filepath.Join(r.folder, "README"), []byte(b.String())); err != nil {
		return err
	}
	return syncDir(r.dir)
}
