package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a Ring.
const (
	MinRing    = 1 << 20 // octets
	ringPieces = 8
)

// Ring is a recording of bounded size: a row of files, each a recording of its
// own, of which the oldest give way to new ones. For t.pcapng they are
// t.000001.pcapng, t.000002.pcapng and so on, so that their names sort by time.
// It belongs to a Writer, as WriterConfig.Next.
type Ring struct {
	prefix, suffix string
	size           int64
	file           *os.File
	number         int
}

// OpenRing returns a Ring of at most size octets in all, at least MinRing, that
// goes on behind what is there of an earlier one of the same name.
func OpenRing(path string, size int64) (*Ring, error) {
	if size < MinRing {
		return nil, fmt.Errorf("capture: a ring of %d octets is too small for whole files, want %d or more", size, MinRing)
	}
	ext := filepath.Ext(path)
	r := &Ring{prefix: strings.TrimSuffix(path, ext), suffix: ext, size: size}
	pieces, err := r.pieces()
	if err != nil {
		return nil, err
	}
	if len(pieces) > 0 {
		r.number = pieces[len(pieces)-1].number
	}
	return r, nil
}

// RingFiles returns the files of the Ring that is, or was, recorded at path, oldest
// first; none when there is no such ring.
func RingFiles(path string) ([]string, error) {
	ext := filepath.Ext(path)
	r := &Ring{prefix: strings.TrimSuffix(path, ext), suffix: ext}
	pieces, err := r.pieces()
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	var out []string
	for _, p := range pieces {
		out = append(out, p.path)
	}
	return out, err
}

// Piece returns how long one file may become, in octets.
func (r *Ring) Piece() int64 { return r.size / ringPieces }

// Next ends the present file, removes what a new one has no room beside, oldest
// first, and begins the new one.
func (r *Ring) Next() (io.Writer, error) {
	if err := r.Close(); err != nil {
		return nil, err
	}
	pieces, err := r.pieces()
	if err != nil {
		return nil, err
	}
	room := r.size - r.Piece()
	for _, p := range pieces {
		room -= p.size
	}
	for _, p := range pieces {
		if room >= 0 {
			break
		}
		if err := os.Remove(p.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		room += p.size
	}
	r.number++
	r.file, err = os.OpenFile(r.path(r.number), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		r.file = nil
		return nil, err
	}
	return r.file, nil
}

// Close ends the present file.
func (r *Ring) Close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}

func (r *Ring) path(n int) string { return fmt.Sprintf("%s.%06d%s", r.prefix, n, r.suffix) }

type piece struct {
	path   string
	number int
	size   int64
}

// pieces lists the files of the ring, oldest first.
func (r *Ring) pieces() (out []piece, err error) {
	dir, base := filepath.Dir(r.prefix), filepath.Base(r.prefix)+"."
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), base)
		digits, ok2 := strings.CutSuffix(name, r.suffix)
		n, err := strconv.Atoi(digits)
		if !ok || !ok2 || err != nil || n < 1 || len(digits) < 6 {
			continue
		}
		if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
			out = append(out, piece{filepath.Join(dir, e.Name()), n, i.Size()})
		}
	}
	slices.SortFunc(out, func(a, b piece) int { return a.number - b.number })
	return out, nil
}
