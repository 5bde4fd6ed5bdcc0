package packfile

import (
	"bytes"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// inflated checks a stream with the standard library.
func inflated(t testing.TB, stream []byte) []byte {
	t.Helper()
	r := bytes.NewReader(stream)
	z, err := zlib.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if r.Len() > 0 {
		t.Fatalf("%d bytes follow the stream", r.Len())
	}
	return content
}

// Every length and distance code of RFC 1951 §3.2.5 that a small content can
// need comes out right.
func TestSmallDeflaterCodes(t *testing.T) {
	d, err := newDeflater(0)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	for n := storeBelow; n < smallBelow; n++ {
		for _, match := range []int{minMatch + n%(maxMatch-minMatch+20), 1 + rnd.IntN(maxMatch+20)} {
			match = min(match, n)
			content := random(n - match)
			from := 0
			if len(content) > 0 {
				from = rnd.IntN(len(content))
			}
			for range match {
				content = append(content, append(content, 'x')[from])
				from++
			}
			out, err := d.deflate(content)
			if err != nil {
				t.Fatal(err)
			}
			if got := inflated(t, out); !bytes.Equal(got, content) {
				t.Fatalf("%d bytes, a match of %d: came out differently", n, match)
			}
		}
	}
}

// What does not compress is stored: at most eleven bytes more.
func TestSmallDeflaterStores(t *testing.T) {
	d, err := newDeflater(0)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 500)
	rnd := rand.New(rand.NewPCG(2, 2))
	for i := range content {
		content[i] = byte(144 + rnd.IntN(112)) // codes of nine bits
	}
	out, err := d.deflate(content)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > len(content)+11 || !bytes.Equal(inflated(t, out), content) {
		t.Errorf("%d bytes became %d", len(content), len(out))
	}
	text := []byte(strings.Repeat("state reachable\nmac 02:50:2a:16:6d:01\n", 10))
	if out, err = d.deflate(text); err != nil || len(out) > 60 {
		t.Errorf("%d bytes became %d: %v", len(text), len(out), err)
	}
}

// The hash table outlives contents: what it has of one does not count in the
// next, also when its counter comes round.
func TestSmallDeflaterForgets(t *testing.T) {
	d := new(smallDeflater)
	first := []byte(strings.Repeat("abcdefgh", 40))
	second := []byte(strings.Repeat("01234567", 40) + "abcdefgh")
	for range 3 {
		for _, content := range [][]byte{first, second} {
			out := d.deflate(make([]byte, 0, len(content)+64), content)
			z := append([]byte(zlibHead), out...)
			r, err := zlib.NewReader(bytes.NewReader(z))
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(content))
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("counted %d: %v, %q", d.count, err, got)
			}
		}
		d.count = 1<<31 - 100
	}
}

// FuzzDeflate: whatever is deflated inflates to the same.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte(""), uint8(0))
	f.Add([]byte(strings.Repeat("tree 0123456789\n", 20)), uint8(0))
	f.Add(bytes.Repeat([]byte{0xff}, 700), uint8(0))
	f.Add([]byte(strings.Repeat("parent 9876\n", 200)), uint8(6))
	f.Fuzz(func(t *testing.T, content []byte, level uint8) {
		d, err := newDeflater(int(level % 10))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			out, err := d.deflate(content)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(inflated(t, out), content) {
				t.Fatal("came out differently")
			}
		}
	})
}
