package packfile

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"testing"
)

// What is sent is what was written, in pieces of any length, and its checksum.
func TestSender(t *testing.T) {
	for _, piece := range []int{1, 1000, sendBytes - 1, sendBytes, sendBytes + 1, 3*sendBytes + 5} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			var out, want bytes.Buffer
			s := newSender(&out)
			for i := range 5 {
				b := bytes.Repeat([]byte{byte(i)}, piece)
				want.Write(b)
				s.write(b)
				clear(b)
			}
			if s.off != int64(want.Len()) {
				t.Errorf("%d bytes are counted, want %d", s.off, want.Len())
			}
			sum, err := s.end(true)
			if err != nil {
				t.Fatal(err)
			}
			if sum != sha1.Sum(want.Bytes()) {
				t.Errorf("the checksum is %v", sum)
			}
			want.Write(sum[:])
			if !bytes.Equal(out.Bytes(), want.Bytes()) {
				t.Error("something else came out")
			}
		})
	}
}

// A pack that breaks off has no trailer.
func TestSenderBreaksOff(t *testing.T) {
	var out bytes.Buffer
	s := newSender(&out)
	s.write([]byte("PACK"))
	if _, err := s.end(false); err != nil || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.Bytes())
	}
}

// brokenWriter fails from the n-th call on.
type brokenWriter struct{ n, calls int }

var errBroken = errors.New("broken")

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.calls++; b.calls >= b.n {
		return 0, errBroken
	}
	return len(p), nil
}

// The writer's error comes back, wherever it happens, and nothing is written
// after it.
func TestSenderError(t *testing.T) {
	for n := 1; n <= 4; n++ {
		b := &brokenWriter{n: n}
		s := newSender(b)
		s.write(make([]byte, 2*sendBytes+1))
		if _, err := s.end(true); !errors.Is(err, errBroken) {
			t.Errorf("call %d: %v", n, err)
		}
		if b.calls != n {
			t.Errorf("call %d failed, %d were made", n, b.calls)
		}
	}
}
