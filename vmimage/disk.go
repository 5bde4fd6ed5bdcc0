package vmimage

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed" // for the template
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:generate template/make.sh

// template is the file system of a new data disk, made by template/make.sh.
//
//go:embed template/disk.ext4.gz
var template []byte

// Sizes of a data disk in octets.
const (
	MinDiskSize     = 64 << 20
	MaxDiskSize     = 16 << 30 // as far as the template's tables grow online
	DefaultDiskSize = 256 << 20
)

// What the template carries in its superblock. The guest accepts no other.
const (
	DiskLabel = "arpeggio"
	DiskUUID  = "61727065-6767-0010-a000-000000000001"
)

// ErrForeignDisk is in the error of InspectDisk for a file that is not an
// arpeggio data disk.
var ErrForeignDisk = errors.New("not an arpeggio data disk")

// ErrCutDisk is in the error of InspectDisk for a data disk whose end is missing.
var ErrCutDisk = errors.New("is cut off")

// CreateDisk makes a new data disk of size octets (0 means DefaultDiskSize) in
// the file at path: a small prepared file system, which the guest grows to the
// file's size when it first mounts it. The file is sparse and appears whole or
// not at all. An existing file is never replaced: the error is then fs.ErrExist.
func CreateDisk(path string, size int64) error {
	size = cmp.Or(size, DefaultDiskSize)
	if size < MinDiskSize || size > MaxDiskSize {
		return fmt.Errorf("vmimage: data disk of %d octets: must be %d MiB to %d GiB", size, MinDiskSize>>20, MaxDiskSize>>30)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("vmimage: data disk %s: %w", path, fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".disk-*")
	if err != nil {
		return fmt.Errorf("vmimage: data disk: %w", err)
	}
	defer os.Remove(f.Name())
	err = unpackSparse(f, bytes.NewReader(template))
	err = cmp.Or(err, f.Truncate(size), f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = appear(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("vmimage: data disk %s: %w", path, err)
	}
	return nil
}

// appear gives the finished file at temp its name, which must be free. A link,
// unlike a rename, refuses to replace; where there are none, the name is taken
// first.
func appear(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return cmp.Or(f.Close(), os.Rename(temp, path))
}

// unpackSparse writes what the gzip file r holds, and leaves holes for zeros.
func unpackSparse(f *os.File, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	zero := make([]byte, len(block))
	for at := int64(0); ; at += int64(len(block)) {
		n, err := io.ReadFull(z, block)
		if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
			if _, err := f.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n > 0:
			return z.Close()
		case err != nil:
			return err
		}
	}
}

// InspectDisk says early whether the file at path is an arpeggio data disk: it
// compares the magic number, label, UUID and size in the superblock, and nothing
// else. The error wraps fs.ErrNotExist, ErrForeignDisk or ErrCutDisk. It writes
// nothing.
func InspectDisk(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("vmimage: data disk: %w", err)
	}
	defer f.Close()
	foreign := func(what string) error {
		return fmt.Errorf("vmimage: %s is %w: %s; name another file, or move this one away", path, ErrForeignDisk, what)
	}
	if info, err := f.Stat(); err != nil {
		return fmt.Errorf("vmimage: data disk: %w", err)
	} else if info.IsDir() {
		return foreign("it is a directory")
	}
	// Offsets of the ext4 superblock, which starts at octet 1024.
	const at, blocks, logSize, magic, uuid, label = 1024, 0x04, 0x18, 0x38, 0x68, 0x78
	b := make([]byte, 1024)
	if _, err := f.ReadAt(b, at); errors.Is(err, io.EOF) {
		return foreign("it is too short")
	} else if err != nil {
		return fmt.Errorf("vmimage: data disk: %w", err)
	}
	if binary.LittleEndian.Uint16(b[magic:]) != 0xef53 {
		return foreign("it holds no ext4 file system")
	}
	if l := strings.TrimRight(string(b[label:label+16]), "\x00"); l != DiskLabel {
		return foreign(fmt.Sprintf("its label is %q", l))
	}
	if hex.EncodeToString(b[uuid:uuid+16]) != strings.ReplaceAll(DiskUUID, "-", "") {
		return foreign("its UUID is another")
	}
	le := binary.LittleEndian
	want := int64(le.Uint32(b[blocks:])) * (1024 << min(le.Uint32(b[logSize:]), 6))
	if have, err := f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("vmimage: data disk: %w", err)
	} else if have < want {
		return fmt.Errorf("vmimage: %s %w: it has %d MiB of %d; restore it from a copy, or move it away and let a new one be made",
			path, ErrCutDisk, have>>20, want>>20)
	}
	return nil
}
