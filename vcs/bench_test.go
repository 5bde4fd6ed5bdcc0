package vcs_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// prefixes is the layout of nested prefixes: /16, /20, /24, /28, address.
type prefixes struct{}

func (prefixes) Path(k uint32) string {
	b := append(make([]byte, 0, 96), "lan/v4/"...)
	for bits := uint32(16); bits <= 28; bits += 4 {
		b = appendIP(b, k&^(1<<(32-bits)-1))
		b = append(strconv.AppendUint(append(b, '_'), uint64(bits), 10), '/')
	}
	return string(appendIP(b, k))
}

func appendIP(b []byte, a uint32) []byte {
	for k := 24; k >= 0; k -= 8 {
		b = append(strconv.AppendUint(b, uint64(a>>k&255), 10), '.')
	}
	return b[:len(b)-1]
}

func (prefixes) Key(path string) (uint32, bool) { return 0, false }

// BenchmarkCommit makes commits that change one of N entries of a hundred bytes.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []uint32{256, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ctx := context.Background()
			back := mem.New()
			r, err := vcs.Open(ctx, back, vcs.Config[uint32, string]{Layout: prefixes{}, StoreConfig: vcs.StoreConfig{CacheBytes: 64 << 20}})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			value := func(i int) vcs.Opt[string] {
				return vcs.Some(fmt.Sprintf("state dynamic\nmac 02:50:2a:16:%02x:%02x\nexpires %d\nlearned reply eth0\nnode n1\nrev %d\n", i>>8&255, i&255, i, i))
			}
			var all []vcs.Change[uint32, string]
			for i := range n {
				all = append(all, vcs.Change[uint32, string]{Key: 0x0a000000 + i, Value: value(0)})
			}
			head, err := r.Commit(ctx, "primary", vcs.ID{}, all, vcs.CommitInfo{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				k := 0x0a000000 + uint32(i*7919)%n
				head, err = r.Commit(ctx, "primary", head, []vcs.Change[uint32, string]{{Key: k, Value: value(i + 1)}}, vcs.CommitInfo{Message: "arp: change"})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDiffAndMerge at a hundred thousand entries.
func BenchmarkDiffAndMerge(b *testing.B) {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[uint32, string]{Layout: prefixes{}, StoreConfig: vcs.StoreConfig{CacheBytes: 64 << 20}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var all []vcs.Change[uint32, string]
	for i := range uint32(100_000) {
		all = append(all, vcs.Change[uint32, string]{Key: 0x0a000000 + i, Value: vcs.Some("0")})
	}
	base, err := r.Commit(ctx, "base", vcs.ID{}, all, vcs.CommitInfo{})
	if err != nil {
		b.Fatal(err)
	}
	change := func(branch string, from, n uint32) vcs.ID {
		var cs []vcs.Change[uint32, string]
		for i := range n {
			cs = append(cs, vcs.Change[uint32, string]{Key: 0x0a000000 + (from+i*7919)%100_000, Value: vcs.Some(branch)})
		}
		if err := r.CreateBranch(ctx, branch, base); err != nil {
			b.Fatal(err)
		}
		id, err := r.Commit(ctx, branch, base, cs, vcs.CommitInfo{})
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	for _, n := range []uint32{1, 10_000} {
		x, y := change(fmt.Sprint("x", n), 0, n), change(fmt.Sprint("y", n), 50_000, n)
		b.Run(fmt.Sprint("diff/", n), func(b *testing.B) {
			for range b.N {
				count := 0
				for _, err := range vcs.DiffTrees(r.Store(), tree(b, r, base), tree(b, r, x)) {
					if err != nil {
						b.Fatal(err)
					}
					count++
				}
				if count != int(n) {
					b.Fatal(count)
				}
			}
		})
		b.Run(fmt.Sprint("merge/", n), func(b *testing.B) {
			for i := range b.N {
				branch := fmt.Sprint("m/", n, "/", b.N, "/", i)
				if err := r.CreateBranch(ctx, branch, x); err != nil {
					b.Fatal(err)
				}
				if _, err := r.Merge(ctx, branch, y, vcs.MergeOptions{}); err != nil {
					b.Fatal(err)
				}
				head, _ := r.Head(branch)
				if err := r.DeleteBranch(ctx, branch, head); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func tree(b *testing.B, r *vcs.Repo[uint32, string], commit vcs.ID) vcs.ID {
	s, err := r.AtCommit(commit)
	if err != nil {
		b.Fatal(err)
	}
	return s.Tree()
}
