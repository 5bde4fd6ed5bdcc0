package main

import (
	"errors"

	"arpeggio/internal/keep"
	"arpeggio/internal/recording"
	"arpeggio/stack/capture"
)

// pcapFlags name a recording that may be a ring.
type pcapFlags struct {
	Pcap     string    `placeholder:"FILE" help:"Record all frames as pcapng (vm run: with --net lan). Comments say which connection they belong to and, in serve, what state and which commit they have caused."`
	PcapSize keep.Size `placeholder:"SIZE" help:"Bound the recording: a ring of files of this size in all, such as 64M, with a number before the end of FILE's name; the oldest give way."`
}

func (f *pcapFlags) check() error {
	switch {
	case f.PcapSize == 0:
	case f.Pcap == "":
		return usagef("--pcap-size goes with --pcap FILE")
	case f.PcapSize < capture.MinRing:
		return usagef("--pcap-size %d: want at least %d, or each of its files would be too small", f.PcapSize, capture.MinRing)
	}
	return nil
}

// pcapFile is a recording that is being written.
type pcapFile struct {
	*recording.File
	path  string
	notes *recording.Notes // nil: without comments
}

func record(path string, size keep.Size) (*pcapFile, error) {
	f, err := recording.Create(path, int64(size))
	if err != nil {
		return nil, err
	}
	return &pcapFile{File: f, path: path}, nil
}

// annotate has the frames recorded with comments.
func (f *pcapFile) annotate() { f.notes = recording.Start(f.File) }

// close finishes the file. It may be called on nil.
func (f *pcapFile) close() {
	if f == nil {
		return
	}
	if err := errors.Join(f.notes.Close(), f.Close()); err != nil {
		note("the recording %s is not complete: %v", f.path, err)
	}
	if n := f.notes.Dropped(); n > 0 {
		note("the recording %s lacks %s that came faster than it could be written; it says where", f.path, count(int(n), "frame"))
	}
}
