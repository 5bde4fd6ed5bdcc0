package badger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// Layout of badger's write-ahead logs: a header with the number of a key that
// encrypts (ours is zero), then entries, which transactions are made of. An
// entry is meta, user meta, lengths of key and value, expiry, key, value and a
// CRC-32C. A transaction ends with an entry of its own.
const (
	walHeader  = 20
	walKey     = 8 // of walHeader: the number of the encryption key
	walTxn     = 1 << 6
	walFin     = 1 << 7
	walFinKey  = "!badger!txn"
	walMaxKey  = 1 << 16
	walMinSize = 5 // of an entry's head
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// wal is what was found in a write-ahead log.
type wal struct {
	name string
	size int64
	key  bool   // the header names an encryption key: it is damaged
	end  int    // of the last whole transaction
	last uint64 // its number, 0 for none
	// first is the number of the first whole one.
	first uint64
	tail  int // bytes behind end that are not zeros at the end of the file
	// fins are the numbers of transactions whose end can be read behind end.
	fins []uint64
}

// walEntry is an entry; size is 0 when there is none.
type walEntry struct {
	meta       byte
	key, value []byte
	size       int
}

func readWALEntry(b []byte) (e walEntry) {
	at, keyLen, size, ok := walEntryShape(b)
	if !ok || crc32.Checksum(b[:size-crc32.Size], castagnoli) != binary.BigEndian.Uint32(b[size-crc32.Size:]) {
		return e
	}
	return walEntry{b[0], b[at : at+keyLen], b[at+keyLen : size-crc32.Size], size}
}

// walEntryShape returns where the key of an entry begins, how long it is, and the
// size of all, with the checksum, as the entry's head has it.
func walEntryShape(b []byte) (at, keyLen, size int, ok bool) {
	if len(b) < walMinSize {
		return 0, 0, 0, false
	}
	at = 2
	var n [3]uint64 // lengths of key and value, expiry
	for i := range n {
		v, k := binary.Uvarint(b[at:])
		if k <= 0 {
			return 0, 0, 0, false
		}
		n[i] = v
		at += k
	}
	if n[0] == 0 || n[0] > walMaxKey || n[1] > uint64(len(b)) {
		return 0, 0, 0, false
	}
	size = at + int(n[0]) + int(n[1]) + crc32.Size
	return at, int(n[0]), size, size <= len(b)
}

// readWAL goes through a log as badger does when it opens.
func readWAL(name string, b []byte) wal {
	w := wal{name: name, size: int64(len(b)), end: walHeader}
	used := len(trimZeros(b))
	if len(b) < walHeader {
		w.end, w.tail = 0, used
		return w
	}
	w.key = binary.BigEndian.Uint64(b) != 0
	var open uint64 // number of the transaction whose entries are read
scan:
	for at := walHeader; ; {
		e := readWALEntry(b[at:])
		if e.size == 0 {
			break
		}
		at += e.size
		switch {
		case e.meta&walTxn != 0:
			number, ok := keyNumber(e.key)
			if !ok || open != 0 && open != number {
				break scan
			}
			open = number
		case e.meta&walFin != 0:
			number, err := strconv.ParseUint(string(e.value), 10, 64)
			if err != nil || number != open {
				break scan
			}
			if open, w.end, w.last = 0, at, number; w.first == 0 {
				w.first = number
			}
		default:
			break scan // we write no others
		}
	}
	if used <= w.end {
		return w
	}
	w.tail = used - w.end
	for rest := b[w.end:]; ; {
		i := bytes.Index(rest, []byte(walFinKey))
		if i < 0 {
			return w
		}
		if i >= walMinSize {
			e := readWALEntry(rest[i-walMinSize:])
			if number, ok := keyNumber(e.key); ok && e.meta&walFin != 0 {
				w.fins = append(w.fins, number)
			}
		}
		rest = rest[i+1:]
	}
}

// keyNumber returns the number of the transaction that wrote a key.
func keyNumber(key []byte) (uint64, bool) {
	if len(key) < 8 {
		return 0, false
	}
	return ^binary.BigEndian.Uint64(key[len(key)-8:]), true
}

// torn reports whether what is behind the end of a log can be what a crash left
// of the one transaction that was being written: the one after number before.
func (w *wal) torn(before uint64) bool {
	if w.last > 0 {
		before = w.last
	}
	for _, n := range w.fins {
		if n != before+1 {
			return false
		}
	}
	return true
}
