package archive

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"arpeggio/vcs"
)

func wholeInfo() *Info {
	return &Info{Epoch: 7, Name: "epoch-000007.bundle", SHA256: [32]byte{1, 31: 2}, Bytes: 5_000_000_000, Objects: 12, Commits: 3,
		Began: time.Unix(1_800_000_000, 5).UTC(), HeadRef: "refs/heads/primary", Head: vcs.ID{1}, Starts: []vcs.ID{{2}, {3}},
		Refs:  []Ref{{vcs.Ref{Name: "refs/tags/v1", Target: vcs.ID{4}}, vcs.ID{5}}},
		Roots: []vcs.EpochRoot{{Root: vcs.ID{6}, Old: vcs.ID{7}, Replacement: vcs.ID{8}, ReplacementBytes: []byte("a\nb\x00")}, {Ref: "refs/heads/x"}}}
}

func TestInfoIsReadBack(t *testing.T) {
	in := wholeInfo()
	got, err := parseInfo(in.encode())
	if err != nil {
		t.Fatal(err)
	}
	got.Roots[1].ReplacementBytes = nil // not told from an empty one
	if !reflect.DeepEqual(got, in) {
		t.Errorf("read back:\n%+v\nwritten:\n%+v", got, in)
	}
}

func FuzzParseInfo(f *testing.F) {
	whole := wholeInfo().encode()
	f.Add(whole[:bytes.LastIndex(whole, []byte("sum "))])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseInfo(b); err == nil {
			b = b[:bytes.LastIndex(b, []byte("sum "))]
		}
		in, err := parseInfo(fmt.Appendf(bytes.Clone(b), "sum %x\n", sha256.Sum256(b)))
		if err != nil {
			return
		}
		again, err := parseInfo(in.encode())
		if err != nil || !reflect.DeepEqual(again, in) {
			t.Fatalf("%+v is read back as %+v, %v", in, again, err)
		}
	})
}
