package versioned

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"arpeggio/vcs"
)

// The file of old tables begins with statesMagic. What follows are states as
// vcs.Store.WriteStates hands them out, each behind its length and its CRC-32C, four
// octets each with the lowest first. What follows one that is torn or damaged does
// not count; those of epochs that have left are dropped.
const statesMagic = "arpstat1"

// maxStates bounds the file.
const maxStates = 1 << 30

// OldStatesPath returns the file of old tables of a branch, for a repository in a
// directory.
func OldStatesPath(dir, branch string) string {
	return branchFile(dir, "arp-states", branch)
}

// OldStates lets a store make old tables from those in a file, instead of going
// through all changes before them. What the branch of head has got since the file
// was written is added to it, which the first time takes one walk through the
// history. A file that is torn, damaged, or of another repository costs time and
// changes no table; an error says why the next question takes as long as this one.
func OldStates(ctx context.Context, s *vcs.Store, head vcs.ID, path string) error {
	var file []byte
	if info, err := os.Stat(path); err == nil && info.Size() <= maxStates {
		if file, err = os.ReadFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("versioned: old tables: %w", err)
		}
	}
	have, whole := offerStates(s, file)
	var news []byte
	err := s.WriteStates(ctx, head, func(state []byte) error {
		if s.OfferState(state); len(have)+len(news) < maxStates {
			news = appendStateFrame(news, state)
		}
		return nil
	})
	if err == nil && (len(news) > 0 || !whole) {
		err = replaceFile(path, append(append([]byte(statesMagic), have...), news...))
	}
	if err != nil {
		return fmt.Errorf("versioned: old tables: %w", err)
	}
	return nil
}

func appendStateFrame(b, state []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(state)))
	return append(binary.LittleEndian.AppendUint32(b, crc32.Checksum(state, castagnoli)), state...)
}

// offerStates offers a store what is in a file. It returns the frames that are of
// use, and whether the file holds nothing else; one that does not exist does.
func offerStates(s *vcs.Store, file []byte) (have []byte, whole bool) {
	rest, ok := bytes.CutPrefix(file, []byte(statesMagic))
	whole = ok || len(file) == 0
	for ok && len(rest) > 0 {
		if len(rest) < 8 {
			return have, false
		}
		n := int(binary.LittleEndian.Uint32(rest))
		if n > len(rest)-8 || crc32.Checksum(rest[8:8+n], castagnoli) != binary.LittleEndian.Uint32(rest[4:]) {
			return have, false
		}
		state := rest[8 : 8+n]
		if s.OfferState(state) {
			have = appendStateFrame(have, state)
		} else {
			whole = false
		}
		rest = rest[8+n:]
	}
	return have, whole
}

// replaceFile puts a new file in the place of one.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // when it has not become the file
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		syncDir(filepath.Dir(path))
	}
	return err
}
