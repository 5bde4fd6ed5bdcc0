package main

import (
	"errors"

	"arpeggio/internal/keep"
	"arpeggio/internal/recording"
	"arpeggio/stack/capture"
)

// pcapFlags name a recording that may be a ring.
type pcapFlags struct {
	Pcap     string    `placeholder:"FILE" help:"Record frames as pcapng: all (vm run: with --net lan), or, in watch and read, those that were looked at. Comments say which connection each belongs to, and what change of state and which commit it has caused: see arpeggio pcap."`
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

// close finishes the file. It may be called on nil.
func (f *pcapFile) close() {
	if f == nil {
		return
	}
	var err error
	if f.notes != nil {
		err = f.notes.Close()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		note("the recording %s is not complete: %v", f.path, err)
	}
	if f.notes == nil {
		return
	}
	st := f.notes.Stats()
	if n := st.FramesDropped; n > 0 {
		note("the recording %s lacks %s that came faster than it could be written; it says where", f.path, count(int(n), "frame"))
	}
	if n := st.NotesUnplaced; n > 0 {
		note("the recording %s lacks %s of %d about states and commits, whose frame it lacks or had written already", f.path, count(int(n), "note"), st.Notes)
	}
}
