package versioned

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"path/filepath"
	"sync"
)

// SeenIndex writes a seen index: additions go to the end of the file, and when
// those outweigh the rest the file is replaced by a new one, by a rename. The
// records are encoded by the caller's goroutine and written by another one. A
// crash loses the additions of the last moments; the history does not need them.
// It is for one goroutine.
type SeenIndex struct {
	path    string
	base    int64 // octets after the last rewrite
	added   int64 // octets since
	buf     []byte
	started bool // the file is ours, and whole
	work    chan seenWork
	ended   chan struct{}

	mu  sync.Mutex
	err error // of a write since the last Save
}

// seenWork is something for the writer: to append batches, or to replace the file.
type seenWork struct {
	data       []byte
	begin, end bool // of a new file
}

// smallSeen is how much may be added to any file before it is rewritten.
const smallSeen = 1 << 20

// OpenSeenIndex starts a writer for a path. The first Save replaces the file,
// whatever it is. Close it.
func OpenSeenIndex(path string) *SeenIndex {
	x := &SeenIndex{path: path, work: make(chan seenWork, 16), ended: make(chan struct{})}
	go x.writer()
	return x
}

// Save writes what has changed since the last Save, or everything when the file
// has grown too long, or could not be written. Both are ranged over once at most,
// before Save returns. The error is that of an earlier write; the next Save
// begins anew then.
func (x *SeenIndex) Save(changed, all iter.Seq[Seen]) error {
	err := x.takeError()
	if err != nil {
		x.started = false
	}
	full := !x.started || x.added > smallSeen && x.added > 2*x.base
	rows := changed
	if full {
		// What has changed is among it.
		for range changed {
		}
		rows = all
		x.base, x.added = 0, 0
		x.send(seenWork{begin: true})
	}
	for s := range rows {
		if len(x.buf) == 0 {
			x.buf = append(x.buf, make([]byte, 8)...)
		}
		x.buf = appendSeen(x.buf, &s)
		if len(x.buf) > maxSeenBatch-1<<16 {
			x.batch(full)
		}
	}
	x.batch(full)
	x.started = true
	if full {
		x.send(seenWork{end: true})
	}
	return err
}

func (x *SeenIndex) takeError() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	err := x.err
	x.err = nil
	return err
}

// batch hands what is encoded to the writer.
func (x *SeenIndex) batch(full bool) {
	if len(x.buf) <= 8 {
		x.buf = x.buf[:0]
		return
	}
	payload := x.buf[8:]
	binary.LittleEndian.PutUint32(x.buf, uint32(len(payload)))
	binary.LittleEndian.PutUint32(x.buf[4:], crc32.Checksum(payload, castagnoli))
	if full {
		x.base += int64(len(x.buf))
	} else {
		x.added += int64(len(x.buf))
	}
	x.send(seenWork{data: x.buf})
	x.buf = nil
}

func (x *SeenIndex) send(w seenWork) { x.work <- w }

// Close waits until everything is written. The error is that of a write since
// the last Save.
func (x *SeenIndex) Close() error {
	close(x.work)
	<-x.ended
	return x.takeError()
}

// writer writes. After an error it does nothing until a new file begins.
func (x *SeenIndex) writer() {
	defer close(x.ended)
	var f *os.File
	failed := false
	check := func(err error) {
		if err != nil {
			failed = true
			x.mu.Lock()
			x.err = fmt.Errorf("versioned: seen index: %w", err)
			x.mu.Unlock()
		}
	}
	fresh := x.path + ".new"
	for w := range x.work {
		var err error
		switch {
		case w.begin:
			f.Close() // what follows is in the new one; nil at first
			failed = false
			if f, err = os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644); err == nil {
				_, err = f.WriteString(seenMagic)
			}
		case failed:
		case w.end:
			if err = errors.Join(f.Sync(), os.Rename(fresh, x.path)); err == nil {
				syncDir(filepath.Dir(x.path))
			}
		default:
			_, err = f.Write(w.data)
		}
		check(err)
	}
	if f != nil {
		check(f.Close())
	}
}

// syncDir makes a rename durable, as far as the system can.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
