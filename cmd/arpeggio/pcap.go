package main

import (
	"errors"
	"os"

	"arpeggio/stack/capture"
)

// recording is a pcapng file that is being written.
type recording struct {
	file   *os.File
	writer *capture.Writer
}

func record(path string) (*recording, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w, err := capture.NewWriter(f, capture.WriterConfig{})
	if err != nil {
		f.Close()
		return nil, err
	}
	return &recording{f, w}, nil
}

// close finishes the file. It may be called on nil.
func (r *recording) close() {
	if r == nil {
		return
	}
	if err := errors.Join(r.writer.Flush(), r.file.Close()); err != nil {
		note("the recording %s is not complete: %v", r.file.Name(), err)
	}
}
