package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
)

// Keys. Objects lie under o and their id, refs under r and their name, log
// records under l and a sequence number, checkpoint chunks under k, the
// checkpoint's number and the chunk's.
const (
	metaKey     = "m"
	verifiedKey = "v"
	objectMark  = 'o'
	refMark     = 'r'
	logMark     = 'l'
	chunkMark   = 'k'
)

func objectKey(id vcs.ID) []byte { return append([]byte{objectMark}, id[:]...) }

func refKey(name string) []byte { return append([]byte{refMark}, name...) }

func logKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{logMark}, seq) }

func logSeq(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

func chunkKey(number uint64, i uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64([]byte{chunkMark}, number), i)
}

// meta says which log records and checkpoint chunks count.
type meta struct {
	LogStart, LogEnd uint64 // records of this half-open range
	Checkpoint       uint64 // number of the checkpoint, 0 for none
	Chunks           uint32
}

const metaLen = 8 + 8 + 8 + 4

func (m meta) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, m.LogStart)
	b = binary.BigEndian.AppendUint64(b, m.LogEnd)
	b = binary.BigEndian.AppendUint64(b, m.Checkpoint)
	return binary.BigEndian.AppendUint32(b, m.Chunks)
}

func readMeta(txn *badger.Txn) (m meta, err error) {
	b, err := getOptional(txn, []byte(metaKey))
	if err != nil || b == nil {
		return m, err
	}
	if len(b) != metaLen {
		return m, fmt.Errorf("meta record of %d bytes", len(b))
	}
	m.LogStart = binary.BigEndian.Uint64(b)
	m.LogEnd = binary.BigEndian.Uint64(b[8:])
	m.Checkpoint = binary.BigEndian.Uint64(b[16:])
	m.Chunks = binary.BigEndian.Uint32(b[24:])
	return m, nil
}

// checkpoint joins the chunks.
func (m meta) checkpoint(txn *badger.Txn) ([]byte, error) {
	if m.Checkpoint == 0 {
		return nil, nil
	}
	all := []byte{}
	for i := range m.Chunks {
		b, err := get(txn, chunkKey(m.Checkpoint, i))
		if err != nil {
			return nil, fmt.Errorf("checkpoint chunk %d: %w", i, err)
		}
		all = append(all, b...)
	}
	return all, nil
}

func readRefs(txn *badger.Txn) ([]vcs.Ref, error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{refMark}, PrefetchValues: true, PrefetchSize: 64})
	defer it.Close()
	var refs []vcs.Ref
	for it.Rewind(); it.Valid(); it.Next() {
		name := string(it.Item().Key()[1:])
		v, err := it.Item().ValueCopy(nil)
		if err == nil && len(v) != len(vcs.ID{}) {
			err = fmt.Errorf("value of %d bytes", len(v))
		}
		if err != nil {
			return nil, fmt.Errorf("ref %s: %w", name, err)
		}
		refs = append(refs, vcs.Ref{Name: name, Target: vcs.ID(v)})
	}
	return refs, nil
}

// verifiedMark begins the list of heads that were verified, one line for each:
// its commit and the ref. Lists without it are of bare ids.
const verifiedMark = "heads\n"

// encodeVerified lists the commits of refs that were verified.
func encodeVerified(objects vcs.ObjectReader, refs []vcs.Ref) []byte {
	var heads []vcs.Ref
	for _, r := range refs {
		if id, err := vcs.PeelCommit(objects, r.Target); err == nil {
			heads = append(heads, vcs.Ref{Name: r.Name, Target: id})
		}
	}
	return appendHeads(nil, heads)
}

// appendHeads lists commits of refs, as many as there is room for.
func appendHeads(b []byte, heads []vcs.Ref) []byte {
	b = append(b, verifiedMark...)
	for _, h := range heads {
		if len(b) < chunk {
			b = fmt.Appendf(b, "%v %s\n", h.Target, h.Name)
		}
	}
	return b
}

// readVerified returns the heads by name, and all of them.
func readVerified(b []byte) (last map[string]vcs.ID, known map[vcs.ID]bool) {
	last, known = make(map[string]vcs.ID), make(map[vcs.ID]bool)
	list, ok := strings.CutPrefix(string(b), verifiedMark)
	if !ok {
		for size := len(vcs.ID{}); len(b) >= size; b = b[size:] {
			known[vcs.ID(b[:size])] = true
		}
		return last, known
	}
	for line := range strings.Lines(list) {
		hex, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if id, err := vcs.ParseID(hex); err == nil {
			last[name], known[id] = id, true
		}
	}
	return last, known
}

func get(txn *badger.Txn, key []byte) ([]byte, error) {
	it, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return it.ValueCopy(nil)
}

// getOptional is get that returns nil when there is no such key.
func getOptional(txn *badger.Txn, key []byte) ([]byte, error) {
	b, err := get(txn, key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	return b, err
}
