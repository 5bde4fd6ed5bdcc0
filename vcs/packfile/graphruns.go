package packfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"arpeggio/vcs"
)

// graphRuns sorts what a commit-graph says of commits by their names, in runs
// that lie in a scratch, so that memory hardly grows with their number.
type graphRuns struct {
	scratch Scratch
	ends    []int64  // of the runs in the scratch
	run     []byte   // the newest records
	starts  []uint32 // where they begin
}

// graphRecord is what is said of a commit.
type graphRecord struct {
	id, tree vcs.ID
	number   uint32 // of the commit, in the order in which they came
	date     uint64
	filter   []byte // valid until the visit ends
	again    bool   // a commit of this name has come before
}

// A record: id, number, tree, date, length of the filter, filter.
const (
	graphRunBytes   = 1 << 20
	graphRunReader  = 8 << 10
	graphKeyBytes   = 20 + 4
	graphRecordHead = graphKeyBytes + 20 + 8 + 2
)

// add takes in a record whose filter a function appends.
func (x *graphRuns) add(r graphRecord, filter func([]byte) []byte) error {
	at := len(x.run)
	b := append(x.run, r.id[:]...)
	b = binary.BigEndian.AppendUint32(b, r.number)
	b = append(b, r.tree[:]...)
	b = binary.BigEndian.AppendUint64(b, r.date)
	b = filter(append(b, 0, 0))
	binary.BigEndian.PutUint16(b[at+graphRecordHead-2:], uint16(len(b)-at-graphRecordHead))
	x.run, x.starts = b, append(x.starts, uint32(at))
	if len(b) > graphRunBytes {
		return x.spill()
	}
	return nil
}

// spill sorts the newest records and puts them into the scratch.
func (x *graphRuns) spill() error {
	slices.SortFunc(x.starts, func(a, b uint32) int {
		return bytes.Compare(x.run[a:a+graphKeyBytes], x.run[b:b+graphKeyBytes])
	})
	var at int64
	if n := len(x.ends); n > 0 {
		at = x.ends[n-1]
	}
	b := make([]byte, 0, pieceBytes)
	for i, from := range x.starts {
		n := graphRecordHead + uint32(binary.BigEndian.Uint16(x.run[from+graphRecordHead-2:]))
		b = append(b, x.run[from:from+n]...)
		if len(b) > pieceBytes-maxGraphRecord || i == len(x.starts)-1 {
			if _, err := x.scratch.WriteAt(b, at); err != nil {
				return fmt.Errorf("packfile: commit-graph: %w", err)
			}
			at += int64(len(b))
			b = b[:0]
		}
	}
	if len(x.starts) > 0 {
		x.ends = append(x.ends, at)
	}
	x.run, x.starts = x.run[:0], x.starts[:0]
	return nil
}

// maxGraphRecord is the length of a record of the largest filter.
const maxGraphRecord = graphRecordHead + (bloomMaxPaths*bloomBits+7)/8

// done puts the last records into the scratch: each can be used.
func (x *graphRuns) done() error {
	err := x.spill()
	x.run, x.starts = nil, nil
	return err
}

// each visits the records in the order of their names, those of one name in the
// order of their numbers.
func (x *graphRuns) each(visit func(*graphRecord) error) error {
	runs := make([]*graphRunAt, 0, len(x.ends))
	var at int64
	for _, end := range x.ends {
		runs = append(runs, &graphRunAt{in: bufio.NewReaderSize(io.NewSectionReader(x.scratch, at, end-at), graphRunReader)})
		at = end
	}
	var rec graphRecord
	first := true
	return mergeRuns(runs, func(r *graphRunAt) error {
		id := vcs.ID(r.rec)
		rec = graphRecord{
			id: id, number: binary.BigEndian.Uint32(r.rec[20:]), tree: vcs.ID(r.rec[24:]), date: binary.BigEndian.Uint64(r.rec[44:]),
			filter: r.rec[graphRecordHead:], again: !first && id == rec.id,
		}
		first = false
		return visit(&rec)
	})
}

// graphRunAt reads one run.
type graphRunAt struct {
	in  *bufio.Reader
	rec []byte // in the reader's buffer
}

func (r *graphRunAt) next() error {
	err := r.read()
	if err != nil && err != io.EOF {
		err = fmt.Errorf("packfile: commit-graph: %w", err)
	}
	return err
}

func (r *graphRunAt) before(o *graphRunAt) bool {
	return bytes.Compare(r.rec[:graphKeyBytes], o.rec[:graphKeyBytes]) < 0
}

func (r *graphRunAt) read() error {
	if _, err := r.in.Discard(len(r.rec)); err != nil {
		return err
	}
	r.rec = nil
	head, err := r.in.Peek(graphRecordHead)
	if err != nil {
		if len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	r.rec, err = r.in.Peek(graphRecordHead + int(binary.BigEndian.Uint16(head[graphRecordHead-2:])))
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
