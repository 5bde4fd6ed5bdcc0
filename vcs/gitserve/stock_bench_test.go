package gitserve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// neighbours is a table of addresses, stored as a folder for each prefix.
type neighbours struct{}

func (neighbours) Path(k uint32) string {
	ip := func(n uint32) string { return fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>16&255, n>>8&255, n&255) }
	return "lan/v4/" + ip(k&^0xffff) + "_16/" + ip(k&^0xfff) + "_20/" + ip(k&^0xff) + "_24/" + ip(k&^0xf) + "_28/" + ip(k)
}

func (neighbours) Key(string) (uint32, bool) { return 0, false }

// neighbourStore returns a store with some entries and one commit for each of
// many changes of one entry, as vcs's own benchmarks have them.
func neighbourStore(tb testing.TB, entries, commits int) *vcs.Store {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[uint32, string]{Layout: neighbours{}, Author: vcs.Signature{Name: "arpeggio r1", Email: "r1@arp"}})
	if err != nil {
		tb.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(42, 7))
	mac, rev, now := make([]uint64, entries), make([]int, entries), int64(1_792_000_000)
	change := func(i int) vcs.Change[uint32, string] {
		m := mac[i]
		return vcs.Change[uint32, string]{Key: 0x0a000000 + uint32(i), Value: vcs.Some(fmt.Sprintf(
			"state reachable\nmac %02x:%02x:%02x:%02x:%02x:%02x\nexpires %d\nlearned %d reply eth0\nnode r1\nrev %d\n",
			m>>40&255, m>>32&255, m>>24&255, m>>16&255, m>>8&255, m&255, now+1200, now, rev[i]))}
	}
	var all []vcs.Change[uint32, string]
	for i := range entries {
		mac[i] = rnd.Uint64() >> 16
		all = append(all, change(i))
	}
	head, err := r.Commit(ctx, "primary", vcs.ID{}, all, vcs.CommitInfo{Message: "create", Time: time.Unix(now, 0)})
	for range commits {
		if err != nil {
			tb.Fatal(err)
		}
		i := rnd.IntN(entries)
		now++
		if rev[i]++; rev[i]%8 == 0 {
			mac[i] = rnd.Uint64() >> 16
		}
		head, err = r.Commit(ctx, "primary", head, []vcs.Change[uint32, string]{change(i)}, vcs.CommitInfo{
			Message: fmt.Sprintf("arp: 10.0.%d.%d -> %012x", i>>8, i&255, mac[i]), Time: time.Unix(now, 0)})
	}
	if err == nil {
		err = r.Sync(ctx)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return r.Store()
}

const (
	benchEntries = 10_000
	benchCommits = 100_000
)

// TestServeForBenchmark is the server process of BenchmarkCloneAgainstStock. It
// does what lines of its input say: "bundle FILE", "mark", "peak".
func TestServeForBenchmark(t *testing.T) {
	if os.Getenv("GITSERVE_BENCHMARK") == "" {
		t.Skip("it serves a benchmark")
	}
	s := neighbourStore(t, benchEntries, benchCommits)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, New(Config{Repository: s}))
	var heap, rss atomic.Int64
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			h, r := memoryNow()
			heap.Store(max(heap.Load(), h))
			rss.Store(max(rss.Load(), r))
		}
	}()
	fmt.Printf("serving http://%s\n", l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch word, arg, _ := strings.Cut(in.Text(), " "); word {
		case "bundle":
			f, err := os.Create(arg)
			if err != nil {
				t.Fatal(err)
			}
			refs, _ := s.Refs()
			if err := packfile.WriteBundle(t.Context(), f, s, refs, nil); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			fmt.Println("done")
		case "mark":
			debug.FreeOSMemory()
			h, r := memoryNow()
			heap.Store(h)
			rss.Store(r)
			fmt.Println("memory", h, r)
		case "peak":
			fmt.Println("memory", heap.Load(), rss.Load())
		}
	}
}

// memoryNow returns the bytes of the heap, garbage included, and of the process
// (0 where /proc does not tell).
func memoryNow() (heap, rss int64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			rss = pages * int64(os.Getpagesize())
		}
	}
	return int64(m.HeapAlloc), rss
}

// benchServer is the other process.
type benchServer struct {
	tb  testing.TB
	url string
	in  io.Writer
	out *bufio.Scanner
}

func startBenchServer(tb testing.TB) *benchServer {
	cmd := exec.Command(os.Args[0], "-test.run=^TestServeForBenchmark$", "-test.timeout=1h")
	cmd.Env = append(os.Environ(), "GITSERVE_BENCHMARK=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	s := &benchServer{tb: tb, in: in, out: bufio.NewScanner(out)}
	s.url = s.answer("serving")
	return s
}

func (s *benchServer) ask(line, want string) string {
	fmt.Fprintln(s.in, line)
	return s.answer(want)
}

func (s *benchServer) answer(want string) string {
	for s.out.Scan() {
		if rest, ok := strings.CutPrefix(s.out.Text(), want); ok {
			return strings.TrimSpace(rest)
		}
	}
	s.tb.Fatal("the server process ended")
	return ""
}

// extra returns the peaks of heap and process since base.
func (s *benchServer) extra(base string) (heap, rss float64) {
	var h0, r0, h1, r1 float64
	fmt.Sscan(base, &h0, &r0)
	fmt.Sscan(s.ask("peak", "memory"), &h1, &r1)
	return (h1 - h0) / 1e6, (r1 - r0) / 1e6
}

// httpBackend serves a bare repository by git's own CGI program.
func httpBackend(tb testing.TB, dir string) string {
	core := vcstest.Git(tb, dir, "--exec-path")
	s := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(core, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent"},
		// Protocol v2 is asked for by a header that CGI servers pass on.
		InheritEnv: []string{"PATH"},
	})
	tb.Cleanup(s.Close)
	return s.URL
}

// BenchmarkCloneAgainstStock clones a history of 100,000 commits on 10,000
// entries with stock git from this server, from git http-backend behind
// net/http/cgi, and from a file: URL. The two latter read the same history as a
// bare repository after git gc, with its bitmaps, so that they have nothing to
// search. The clone is bare, since checking files out is the client's work.
func BenchmarkCloneAgainstStock(b *testing.B) {
	server := startBenchServer(b)
	tmp := b.TempDir()
	bundle, bare := filepath.Join(tmp, "all.bundle"), filepath.Join(tmp, "bare")
	server.ask("bundle "+bundle, "done")
	vcstest.Git(b, tmp, "clone", "-q", "--bare", bundle, bare)
	vcstest.Git(b, bare, "symbolic-ref", "HEAD", "refs/heads/primary")
	vcstest.Git(b, bare, "gc", "-q")
	size := func(dir string) float64 {
		packs, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
		st, err := os.Stat(packs[0])
		if err != nil {
			b.Fatal(err)
		}
		return float64(st.Size()) / 1e6
	}
	sides := []struct{ name, url string }{{"here", server.url}, {"http-backend", httpBackend(b, bare)}, {"file", "file://" + bare}}
	for _, args := range [][]string{nil, {"--depth=1"}} {
		b.Run(strings.Join(append([]string{"clone"}, args...), ""), func(b *testing.B) {
			took := map[string][]float64{}
			var heap, rss float64
			for range b.N {
				for _, side := range sides {
					dir := filepath.Join(b.TempDir(), "c")
					base := server.ask("mark", "memory")
					start := time.Now()
					vcstest.Git(b, tmp, slices.Concat([]string{"clone", "-q", "--bare"}, args, []string{side.url, dir})...)
					took[side.name] = append(took[side.name], time.Since(start).Seconds())
					if side.url == server.url {
						h, r := server.extra(base)
						heap, rss = max(heap, h), max(rss, r)
					}
					if n, want := vcstest.Git(b, dir, "rev-list", "--count", "HEAD"), strconv.Itoa(benchCommits+1); len(args) == 0 && n != want {
						b.Fatalf("%s: %s commits, want %s", side.name, n, want)
					}
					b.ReportMetric(size(dir), side.name+"-pack-MB")
					os.RemoveAll(dir)
				}
			}
			for _, side := range sides {
				slices.Sort(took[side.name])
				b.ReportMetric(took[side.name][b.N/2], side.name+"-s")
			}
			b.ReportMetric(took["here"][b.N/2]/took["http-backend"][b.N/2], "ratio")
			b.ReportMetric(heap, "server-heap-MB")
			b.ReportMetric(rss, "server-rss-MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
