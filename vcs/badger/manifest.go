package badger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

const manifestName = "MANIFEST"

// readManifest returns the level of each table that the manifest names, and
// whether its last change is cut off, so that it says what was before that.
func readManifest(dir string) (levels map[uint64]uint8, cut bool, err error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	m, end, err := badger.ReplayManifestFile(f, magic|version, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return nil, false, err
	}
	levels = make(map[uint64]uint8, len(m.Tables))
	for id, t := range m.Tables {
		levels[id] = t.Level
	}
	st, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	return levels, st.Size() > end, nil
}

// encodeManifest writes a manifest: one change for each table, all in one
// protocol buffer with its length and CRC-32C.
func encodeManifest(levels map[uint64]uint8) []byte {
	var set []byte
	for _, id := range slices.Sorted(maps.Keys(levels)) {
		change := binary.AppendUvarint([]byte{1 << 3}, id)
		change = binary.AppendUvarint(append(change, 3<<3), uint64(levels[id]))
		set = append(binary.AppendUvarint(append(set, 1<<3|2), uint64(len(change))), change...)
	}
	b := binary.BigEndian.AppendUint16([]byte("Bdgr"), magic|version)
	b = binary.BigEndian.AppendUint16(b, badgerVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(set, castagnoli))
	return append(b, set...)
}

// badgerVersion is that of badger's files.
const badgerVersion = 8

// writeFile replaces a file durably, with all of the content or not at all.
func writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("badger: write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("badger: sync %s: %w", dir, err)
	}
	return nil
}
