package packfile

import (
	"crypto/sha1"
	"hash"
	"io"

	"arpeggio/vcs"
)

// sender hashes and sends a pack in a goroutine of its own, while the next part
// is made.
type sender struct {
	buf      []byte // what is being filled
	off      int64  // bytes written
	err      error  // of the receiving writer, as far as it is known
	full     chan []byte
	free     chan sent
	hash     hash.Hash
	complete bool   // the trailer is due
	sum      vcs.ID // the trailer
}

// sent is a buffer that is free again, and the first error until then.
type sent struct {
	buf []byte
	err error
}

// sendBytes is how much is sent at a time.
const sendBytes = 64 << 10

// newSender returns one that writes to w until end is called.
func newSender(w io.Writer) *sender {
	s := &sender{buf: make([]byte, 0, sendBytes), full: make(chan []byte), free: make(chan sent, 1), hash: sha1.New()}
	s.free <- sent{buf: make([]byte, 0, sendBytes)}
	go s.run(w)
	return s
}

func (s *sender) run(w io.Writer) {
	var err error
	for b := range s.full {
		if err == nil {
			s.hash.Write(b)
			_, err = w.Write(b)
		}
		s.free <- sent{b[:0], err}
	}
	if s.complete && err == nil {
		s.hash.Sum(s.sum[:0])
		_, err = w.Write(s.sum[:])
	}
	s.free <- sent{nil, err}
	close(s.free)
}

// write takes the next bytes of the pack.
func (s *sender) write(b []byte) {
	s.off += int64(len(b))
	for len(b) > sendBytes-len(s.buf) {
		n := sendBytes - len(s.buf)
		s.buf = append(s.buf, b[:n]...)
		b = b[n:]
		s.full <- s.buf
		x := <-s.free
		s.buf = x.buf
		s.keep(x.err)
	}
	s.buf = append(s.buf, b...)
}

func (s *sender) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

// end sends what is left and the trailer, if the pack is complete, and waits for
// the goroutine.
func (s *sender) end(complete bool) (sum vcs.ID, err error) {
	if complete {
		s.full <- s.buf
	}
	s.complete = complete
	close(s.full)
	for x := range s.free {
		s.keep(x.err)
	}
	return s.sum, s.err
}
