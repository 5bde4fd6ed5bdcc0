package vcstest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// sector is what a disk writes as a whole.
const sector = 512

// Files is a directory at one moment: its files by their path in it, with
// slashes. Contents are shared between moments and must not be changed.
type Files map[string]File

// File is a file's content. Zeros at the end may be left out of Data.
type File struct {
	Data []byte
	Size int64
}

// ReadFiles reads a directory. Others may write to it meanwhile: it is read
// until two looks at it are equal. Contents that did not change since an
// earlier reading, which may be nil, are shared with it.
func ReadFiles(dir string, earlier Files) (Files, error) {
	last, err := readFiles(dir, earlier)
	for range 100 {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var next Files
		if next, err = readFiles(dir, last); err == nil && maps.EqualFunc(last, next, File.equal) {
			return next, nil
		}
		last = next
	}
	return nil, fmt.Errorf("vcstest: %s does not come to rest: %w", dir, err)
}

func readFiles(dir string, earlier Files) (Files, error) {
	all := make(Files)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		f := File{trimZeros(data), int64(len(data))}
		if old, ok := earlier[name]; ok && old.equal(f) {
			f = old
		} else {
			f.Data = bytes.Clone(f.Data)
		}
		all[name] = f
		return err
	})
	return all, err
}

// trimZeros returns b without the zeros at its end, of which files of a database may
// have megabytes.
func trimZeros(b []byte) []byte {
	var zeros [4096]byte
	for len(b) >= len(zeros) && bytes.Equal(b[len(b)-len(zeros):], zeros[:]) {
		b = b[:len(b)-len(zeros)]
	}
	return bytes.TrimRight(b, "\x00")
}

func (f File) equal(g File) bool { return f.Size == g.Size && bytes.Equal(f.Data, g.Data) }

// Write makes a directory of them. The directories named in dirs are made, too,
// and may stay empty.
func (f Files) Write(dir string, dirs ...string) error {
	for _, name := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(name)), 0o777); err != nil {
			return err
		}
	}
	for name, file := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.Data, 0o666); err != nil {
			return err
		}
		if file.Size != int64(len(file.Data)) {
			if err := os.Truncate(path, file.Size); err != nil {
				return err
			}
		}
	}
	return nil
}

// names returns the files' names in order.
func (f Files) names() []string { return slices.Sorted(maps.Keys(f)) }

// tear returns a file between two moments: of the sectors that differ, some are
// there and some are not. The file may also be as long as what is there.
func tear(before, after File, rnd *rand.Rand) (File, string) {
	size := max(len(before.Data), len(after.Data))
	old, now := make([]byte, size), make([]byte, size)
	copy(old, before.Data)
	copy(now, after.Data)
	var changed []int
	for at := 0; at < size; at += sector {
		if end := min(at+sector, size); !bytes.Equal(old[at:end], now[at:end]) {
			changed = append(changed, at)
		}
	}
	write := func(at int) {
		end := min(at+sector, size)
		copy(old[at:end], now[at:end])
	}
	out := File{old, max(before.Size, after.Size)}
	n := 0
	if len(changed) > 0 {
		n = rnd.IntN(len(changed) + 1)
	}
	switch kind := rnd.IntN(4); {
	case kind == 0 && len(changed) > 0: // some sectors of the write, in any order
		for _, at := range changed {
			if rnd.IntN(2) == 0 {
				write(at)
			}
		}
		return out, fmt.Sprintf("any of its %d sectors", len(changed))
	case kind == 1 && len(changed) > 0: // cut off anywhere, in the middle of a sector, too
		first, last := changed[0], min(changed[len(changed)-1]+sector, size)
		for first < last && old[first] == now[first] {
			first++
		}
		cut := first + rnd.IntN(last-first+1)
		for _, at := range changed {
			write(at)
		}
		return File{old[:cut], max(before.Size, int64(cut))}, fmt.Sprintf("cut at %d", cut)
	default: // the first sectors
		for _, at := range changed[:n] {
			write(at)
		}
		return out, fmt.Sprintf("%d of its %d sectors", n, len(changed))
	}
}

// damage returns the files with one of them damaged, and what was done.
func (f Files) damage(rnd *rand.Rand, spare func(name string) bool) (Files, string) {
	var names []string
	total := 0
	for _, name := range f.names() {
		if len(f[name].Data) > 0 && !spare(name) {
			names = append(names, name)
			total += len(f[name].Data)
		}
	}
	out := maps.Clone(f)
	if len(names) == 0 {
		return out, "nothing"
	}
	name := names[rnd.IntN(len(names))] // small files as often as large ones
	if rnd.IntN(2) == 0 {               // each byte alike
		at := rnd.IntN(total)
		for _, name = range names {
			if at -= len(f[name].Data); at < 0 {
				break
			}
		}
	}
	file := f[name]
	data := bytes.Clone(file.Data)
	at := rnd.IntN(len(data))
	what := ""
	switch rnd.IntN(6) {
	case 0, 1, 2:
		data[at] ^= 1 << rnd.IntN(8)
		what = fmt.Sprintf("a bit flipped at %d", at)
	case 3:
		for range 8 {
			data[min(at/sector*sector+rnd.IntN(sector), len(data)-1)] ^= byte(1 + rnd.IntN(255))
		}
		what = fmt.Sprintf("bytes changed around %d", at)
	case 4:
		clear(data[at/sector*sector : min(at/sector*sector+sector, len(data))])
		what = fmt.Sprintf("a sector of zeros at %d", at/sector*sector)
	case 5:
		data, file.Size = data[:at], int64(at)
		what = fmt.Sprintf("cut at %d", at)
	}
	out[name] = File{data, file.Size}
	return out, fmt.Sprintf("%s of %d bytes: %s", name, len(f[name].Data), what)
}
