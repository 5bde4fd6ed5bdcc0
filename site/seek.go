package site

import (
	"errors"
	"io"
	"io/fs"
)

// seekFile is an open file of the site.
type seekFile interface {
	fs.File
	io.Seeker
}

// open opens a file for reading at any position.
func open(fsys fs.FS, name string) (seekFile, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if s, ok := f.(seekFile); ok {
		return s, nil
	}
	return &reopener{fsys: fsys, name: name, f: f}, nil
}

// reopener makes a file seekable that is not, such as one in a zip archive, by
// reading up to the position and by opening the file again to go back.
type reopener struct {
	fsys fs.FS
	name string
	f    fs.File
	pos  int64 // where f is
	want int64 // where the next Read begins
}

func (r *reopener) Stat() (fs.FileInfo, error) { return r.f.Stat() }
func (r *reopener) Close() error               { return r.f.Close() }

func (r *reopener) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.want
	case io.SeekEnd:
		fi, err := r.f.Stat()
		if err != nil {
			return 0, err
		}
		offset += fi.Size()
	}
	if offset < 0 {
		return 0, errors.New("site: seek before the start of " + r.name)
	}
	r.want = offset
	return offset, nil
}

func (r *reopener) Read(p []byte) (int, error) {
	if r.want < r.pos {
		f, err := r.fsys.Open(r.name)
		if err != nil {
			return 0, err
		}
		_ = r.f.Close() // only read from: nothing to lose
		r.f, r.pos = f, 0
	}
	if r.want > r.pos {
		n, err := io.CopyN(io.Discard, r.f, r.want-r.pos)
		r.pos += n
		if err != nil {
			return 0, err
		}
	}
	n, err := r.f.Read(p)
	r.pos += int64(n)
	r.want = r.pos
	return n, err
}
