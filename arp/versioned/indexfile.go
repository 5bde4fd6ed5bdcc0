package versioned

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// The file of an index begins with indexMagic. What follows are blocks, each
// behind its length and its CRC-32C, four octets each with the lowest first. A
// block takes the place of all rows from its first one on. What follows one that
// is torn, damaged, or does not go with those before does not count.
const indexMagic = "arpindx1"

// maxBlock bounds a block, and so what a reader needs.
const maxBlock = 1 << 28

// smallIndex is how much of an index's file may be out of use in any case.
const smallIndex = 1 << 20

// OpenRecordIndex reads the index in a file, as far as it is whole; a file that is
// not there, or is none, is an empty one, as is the empty path.
func OpenRecordIndex(path string) *RecordIndex {
	x := &RecordIndex{path: path}
	if path == "" {
		return x
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) < len(indexMagic) || string(data[:len(indexMagic)]) != indexMagic {
		return x
	}
	x.file = int64(len(indexMagic))
	for rest := data[len(indexMagic):]; len(rest) >= 8; {
		n := int(binary.LittleEndian.Uint32(rest))
		if n > len(rest)-8 || n > maxBlock {
			break
		}
		raw := rest[8 : 8+n]
		if crc32.Checksum(raw, castagnoli) != binary.LittleEndian.Uint32(rest[4:]) {
			break
		}
		b, err := parseBlock(raw)
		if err != nil || !x.add(b) {
			break
		}
		b.saved = true
		x.file += int64(8 + n)
		rest = rest[8+n:]
	}
	if x.file != int64(len(data)) {
		x.file = 0 // what is behind must not be taken for ours
	}
	return x
}

// Save writes what has changed to the file. A crash loses what was written last,
// at most.
func (x *RecordIndex) Save() error {
	if x.path == "" {
		return nil
	}
	x.seal()
	live, fresh := int64(len(indexMagic)), int64(0)
	for _, b := range x.blocks {
		size := int64(8 + len(b.raw))
		live += size
		if !b.saved {
			fresh += size
		}
	}
	if fresh == 0 {
		return nil
	}
	err := x.write(x.file > 0 && x.file+fresh <= 2*live+smallIndex)
	if err != nil {
		x.file = 0 // begin anew next time
		return fmt.Errorf("versioned: index of the record: %w", err)
	}
	return nil
}

// write appends the blocks that the file has not, or makes it anew.
func (x *RecordIndex) write(add bool) (err error) {
	name, flags := x.path, os.O_WRONLY|os.O_APPEND
	if !add {
		f, err := os.CreateTemp(filepath.Dir(x.path), filepath.Base(x.path)+".new-*")
		if err != nil {
			return err
		}
		name = f.Name()
		defer os.Remove(name) // when it has not become the file
		if _, err = f.WriteString(indexMagic); err == nil {
			err = f.Chmod(0o644)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		x.file = int64(len(indexMagic))
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if end, err := f.Seek(0, io.SeekEnd); err != nil || end != x.file {
		return errors.Join(err, errors.New("somebody else has written to it"))
	}
	for _, b := range x.blocks {
		if add && b.saved {
			continue
		}
		head := binary.LittleEndian.AppendUint32(nil, uint32(len(b.raw)))
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(b.raw, castagnoli))
		n, err := f.Write(slices.Concat(head, b.raw))
		x.file += int64(n)
		if err != nil {
			return err
		}
	}
	if !add {
		if err := errors.Join(f.Sync(), os.Rename(name, x.path)); err != nil {
			return err
		}
		syncDir(filepath.Dir(x.path))
	}
	for _, b := range x.blocks {
		b.saved = true
	}
	return nil
}
