package packfile

import (
	"fmt"
	"io"
	"math"

	"arpeggio/vcs"
)

// Limits bound what a pack may make Index do. A zero field has its default.
type Limits struct {
	// PackBytes is the longest pack; default 64 MiB.
	PackBytes int64
	// Objects is the largest number of objects; default 1,048,576. Index keeps
	// about 70 bytes for each.
	Objects int
	// ObjectBytes is the largest object and the longest delta, inflated; default
	// vcs.MaxObject, at most 2 GiB - 1. A few are held at a time.
	ObjectBytes int64
	// TotalBytes bounds all objects together, inflated and with their deltas
	// applied; default 1 GiB. They are never held at once.
	TotalBytes int64
	// Depth is the longest chain of deltas; default and most 4095, as git's own.
	Depth int
	// CacheBytes is the memory for recently used contents; default 8 MiB.
	CacheBytes int
}

const maxDeltaDepth = 4095

func (l Limits) withDefaults() Limits {
	if l.PackBytes <= 0 {
		l.PackBytes = 64 << 20
	}
	if l.Objects <= 0 {
		l.Objects = 1 << 20
	}
	l.Objects = min(l.Objects, math.MaxInt32)
	if l.ObjectBytes <= 0 {
		l.ObjectBytes = vcs.MaxObject
	}
	l.ObjectBytes = min(l.ObjectBytes, math.MaxInt32)
	if l.TotalBytes <= 0 {
		l.TotalBytes = 1 << 30
	}
	if l.Depth <= 0 || l.Depth > maxDeltaDepth {
		l.Depth = maxDeltaDepth
	}
	if l.CacheBytes <= 0 {
		l.CacheBytes = 8 << 20
	}
	return l
}

// Unpacking may produce this many times the objects' total size, since contents
// that left the cache are made again, before it is given up: a small pack cannot
// keep the reader busy for long.
const (
	workFactor = 64
	workFree   = 64 << 20
)

// Scratch is where Index keeps the pack: a file, or memory. It is written once
// from front to end and then read at random, by one goroutine at a time.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
}

// memory is a Scratch in pieces, so that growing copies nothing.
type memory struct {
	pieces [][]byte
	size   int64
}

const pieceBytes = 64 << 10

// WriteAt implements io.WriterAt for writes that append.
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off != m.size {
		return 0, fmt.Errorf("packfile: write at %d of %d bytes", off, m.size)
	}
	n := len(p)
	for len(p) > 0 {
		at := int(m.size % pieceBytes)
		if at == 0 {
			m.pieces = append(m.pieces, make([]byte, 0, pieceBytes))
		}
		last := &m.pieces[len(m.pieces)-1]
		k := min(len(p), pieceBytes-at)
		*last = append(*last, p[:k]...)
		m.size += int64(k)
		p = p[k:]
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off >= m.size {
			return n, io.EOF
		}
		k := copy(p[n:], m.pieces[off/pieceBytes][off%pieceBytes:])
		n += k
		off += int64(k)
	}
	return n, nil
}
