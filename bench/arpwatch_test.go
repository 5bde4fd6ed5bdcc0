package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/openrepo"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs/gitserve"
)

// arpwatch: read beside Debian's arpwatch on the same captures: the processors'
// time for 10,000 frames, as the difference between a long capture and one of
// 10,000, then what a change takes in a clone, and a burst on a live interface.
func arpwatch(ctx context.Context, b *board) {
	b.section("Observing captures, beside arpwatch -r FILE -Q: processor time for 10,000 further frames")
	dir, err := os.MkdirTemp("", "bench-arpwatch-")
	if err != nil {
		b.fail("disk", err)
		return
	}
	defer os.RemoveAll(dir)
	o, err := newObservers(ctx, dir)
	if err != nil {
		b.fail("arpeggio", err)
		return
	}
	// A million new hosts take arpwatch minutes: the more it knows the longer it
	// looks.
	more := 100_000
	if b.full {
		more = 1_000_000
	}
	b.observed(ctx, o, "200 steady hosts", 200, 1_000_000)
	b.observed(ctx, o, "new hosts, five a second, all kept in the history", 0, more)
	if err := b.bytesAChange(ctx, o); err != nil {
		b.fail("octets a change", err)
	}
	if lost, took, err := o.burst(ctx); err != nil {
		b.fail("a burst of 10,000 frames, live", err)
	} else {
		b.add(Row{Name: "a burst of 10,000 frames, live: lost", Value: float64(lost), Unit: "frames", Bar: AtMost(0),
			Note: fmt.Sprintf("sent within %v", took.Round(time.Millisecond))})
	}
}

// observers are the two programs.
type observers struct {
	dir, ours, theirs string
	isolate           []string // what keeps arpwatch from asking a resolver for each host
}

var errNoArpwatch = errors.New("no arpwatch in PATH or /usr/sbin: apt-get install arpwatch")

func newObservers(ctx context.Context, dir string) (*observers, error) {
	o := &observers{dir: dir, ours: filepath.Join(dir, "arpeggio")}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", o.ours, "arpeggio/cmd/arpeggio")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	for _, name := range []string{"arpwatch", "/usr/sbin/arpwatch"} {
		if path, err := exec.LookPath(name); err == nil {
			o.theirs = path
			break
		}
	}
	if exec.Command("unshare", "-n", "true").Run() == nil {
		o.isolate = []string{"unshare", "-n"}
	}
	return o, nil
}

// capture writes a capture of some hosts in turns, or of new ones when there are
// none, 10 ms or 200 ms apart.
func (o *observers) capture(name string, hosts, frames int) (string, error) {
	path := filepath.Join(o.dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	w.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0})
	step, at := 10*time.Millisecond, time.Unix(1_700_000_000, 0)
	if hosts == 0 {
		step = 200 * time.Millisecond
	}
	var b []byte
	for i := range frames {
		n := i
		if hosts > 0 {
			n = i % hosts
		}
		b = binary.LittleEndian.AppendUint32(b[:0], uint32(at.Unix()))
		b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
		b = append(b, 60, 0, 0, 0, 60, 0, 0, 0)
		b = append(hostFrame(b, n), make([]byte, 18)...)
		w.Write(b)
		at = at.Add(step)
	}
	return path, w.Flush()
}

// hostFrame appends a request of a host for its gateway.
func hostFrame(b []byte, n int) []byte {
	mix := uint32(n) * 0x9e3779b1 // addresses of cards are not in a row
	mac := ethernet.Addr{2, 0x50, byte(mix >> 24), byte(mix >> 16), byte(mix >> 8), byte(mix)}
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
	ip := netip.AddrFrom4([4]byte{10, byte((n + 1) >> 16), byte((n + 1) >> 8), byte(n + 1)}) // the gateway is the first
	p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: ip, TargetIP: netip.AddrFrom4([4]byte{10, 0, 0, 1})}
	return p.AppendTo(h.AppendTo(b))
}

// run runs a program to its end and returns the processors' time.
func (o *observers) run(ctx context.Context, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w: %.300s", filepath.Base(args[0]), err, errs.String())
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// read has our program read a capture into a new store.
func (o *observers) read(ctx context.Context, file string) (time.Duration, error) {
	if err := os.RemoveAll(o.store()); err != nil {
		return 0, err
	}
	return o.run(ctx, o.ours, "read", "-q", "--keep", "0", "--repo", o.store(), file)
}

func (o *observers) store() string { return filepath.Join(o.dir, "store") }

// arpwatch has arpwatch read a capture, without mail, and checks that it did.
func (o *observers) arpwatch(ctx context.Context, file string) (time.Duration, error) {
	if o.theirs == "" {
		return 0, errNoArpwatch
	}
	data := filepath.Join(o.dir, "arp.dat")
	if err := os.WriteFile(data, nil, 0o666); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	took, err := o.run(limited, append(o.isolate, o.theirs, "-r", file, "-Q", "-f", data)...)
	if err != nil {
		return 0, err
	}
	if info, err := os.Stat(data); err != nil || info.Size() == 0 {
		return 0, fmt.Errorf("arpwatch wrote no hosts to its file: %w", errors.Join(err, errors.ErrUnsupported))
	}
	return took, nil
}

// observed adds the figures of one sort of capture.
func (b *board) observed(ctx context.Context, o *observers, name string, hosts, more int) {
	const few = 10_000
	short, err := o.capture("short.pcap", hosts, few)
	if err != nil {
		b.fail(name, err)
		return
	}
	long, err := o.capture("long.pcap", hosts, few+more)
	if err != nil {
		b.fail(name, err)
		return
	}
	rounds := 3
	if hosts == 0 {
		rounds = 1
	}
	marginal := func(take func(context.Context, string) (time.Duration, error)) (time.Duration, error) {
		var diffs []time.Duration
		for range rounds {
			a, err := take(ctx, short)
			if err != nil {
				return 0, err
			}
			z, err := take(ctx, long)
			if err != nil {
				return 0, err
			}
			diffs = append(diffs, (z-a)*few/time.Duration(more))
		}
		return median(diffs), nil
	}
	ours, err := marginal(o.read)
	if err != nil {
		b.fail(name, err)
		return
	}
	b.add(Row{Name: name + ": arpeggio", Value: ours.Seconds() * 1000, Unit: "ms"})
	theirs, err := marginal(o.arpwatch)
	if err != nil {
		b.fail(name+": arpwatch", err)
		return
	}
	b.add(Row{Name: name + ": arpwatch", Value: theirs.Seconds() * 1000, Unit: "ms", Ratio: theirs.Seconds() / ours.Seconds(), Bar: AtLeast(1),
		Note: fmt.Sprintf("%d frames less %d", few+more, few)})
}

// bytesAChange measures the pack that a stock clone of 10,000 new hosts receives.
func (b *board) bytesAChange(ctx context.Context, o *observers) error {
	file, err := o.capture("short.pcap", 0, 10_000)
	if err != nil {
		return err
	}
	if _, err := o.read(ctx, file); err != nil {
		return err
	}
	r, err := openrepo.Open(ctx, o.store(), openrepo.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: r.Store}))
	defer srv.Close()
	to := filepath.Join(o.dir, "clone.git")
	defer os.RemoveAll(to)
	if _, err := git(ctx, o.dir, "clone", "-q", "--bare", srv.URL, to); err != nil {
		return err
	}
	n, err := git(ctx, to, "rev-list", "--count", "HEAD")
	if err != nil {
		return err
	}
	var commits, size int64
	if _, err := fmt.Sscan(n, &commits); err != nil {
		return err
	}
	err = filepath.WalkDir(filepath.Join(to, "objects", "pack"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".pack") {
			info, err := e.Info()
			if err != nil {
				return err
			}
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	b.add(Row{Name: "a change in the pack that a clone receives, with its frame", Value: float64(size) / float64(commits), Unit: "octets", Bar: AtMost(600),
		Note: fmt.Sprintf("%d commits", commits)})
	return nil
}

// The yardsticks on small captures.
func TestArpwatchFigures(t *testing.T) {
	o, err := newObservers(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file, err := o.capture("few.pcap", 0, 300)
	if err != nil {
		t.Fatal(err)
	}
	if took, err := o.read(t.Context(), file); err != nil || took <= 0 {
		t.Errorf("read took %v: %v", took, err)
	}
	var b board
	if err := b.bytesAChange(t.Context(), o); err != nil {
		t.Error(err)
	}
	if b.failed > 0 || b.met != 1 {
		t.Errorf("%d figures failed, %d bars met", b.failed, b.met)
	}
	if _, err := o.arpwatch(t.Context(), file); err != nil && !errors.Is(err, errNoArpwatch) {
		t.Error(err)
	}
}
