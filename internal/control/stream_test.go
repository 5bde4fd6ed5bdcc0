package control

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func stream(t testing.TB, id uint64, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := WriteStream(&b, id, func(w io.Writer) error {
		for len(data) > 0 { // in odd pieces
			k := min(len(data), 100_003)
			if _, err := w.Write(data[:k]); err != nil {
				return err
			}
			data = data[k:]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 0 {
		t.Fatal("negative length")
	}
	return b.Bytes()
}

func TestStreamCarriesAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, maxChunk - 1, maxChunk, maxChunk + 1, 1_000_000} {
		data := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
		var got bytes.Buffer
		if k, err := ReadStream(&got, bytes.NewReader(stream(t, 5, data)), 5); err != nil || k != int64(n) || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%d octets: %d %v", n, k, err)
		}
	}
}

func TestDamagedStream(t *testing.T) {
	good := stream(t, 5, []byte("some data that matters"))
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		if _, err := ReadStream(io.Discard, bytes.NewReader(bad), 5); err == nil {
			t.Errorf("octet %d is spoilt and nobody notices", at)
		}
		if _, err := ReadStream(io.Discard, bytes.NewReader(good[:at]), 5); err == nil || at > 0 && errors.Is(err, io.EOF) {
			t.Errorf("cut after %d octets: %v", at, err)
		}
	}
	if _, err := ReadStream(io.Discard, bytes.NewReader(good), 6); !errors.Is(err, ErrStreamCorrupt) {
		t.Errorf("a stream of another request: %v", err)
	}
}

func TestAbortedStreamStaysInStep(t *testing.T) {
	var b bytes.Buffer
	boom := errors.New("boom")
	if _, err := WriteStream(&b, 1, func(w io.Writer) error {
		w.Write(make([]byte, 2*maxChunk)) // its errors come back from WriteStream
		return boom
	}); !errors.Is(err, boom) {
		t.Errorf("sender: %v", err)
	}
	b.Write(stream(t, 2, []byte("next")))
	if _, err := ReadStream(io.Discard, &b, 1); !errors.Is(err, ErrStreamAborted) {
		t.Errorf("receiver: %v", err)
	}
	var got bytes.Buffer
	if _, err := ReadStream(&got, &b, 2); err != nil || got.String() != "next" {
		t.Errorf("next stream: %q %v", got.String(), err)
	}
}

// failAfter is a writer that takes n octets.
type failAfter struct{ n int }

var errFull = errors.New("full")

func (w *failAfter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestStreamReportsTheWriter(t *testing.T) {
	for n := range 400 {
		_, err := WriteStream(&failAfter{n}, 1, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 400))
			return err
		})
		if !errors.Is(err, errFull) {
			t.Fatalf("room for %d octets: %v", n, err)
		}
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add(stream(f, 0, []byte("data")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got bytes.Buffer
		n, err := ReadStream(&got, bytes.NewReader(b), 0)
		if n != int64(got.Len()) || n > int64(len(b)) {
			t.Errorf("%d octets of %d, %d written, %v", n, len(b), got.Len(), err)
		}
	})
}
