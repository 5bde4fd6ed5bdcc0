package vcstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// FileFaults is a test of what somebody who keeps files in a directory makes of
// calls to the operating system that fail: each call that opens, writes, syncs,
// renames or removes a file fails in turn, once or from then on, with an I/O
// error, with a full disk (which can still be read), or after half of what was
// to be written.
//
// It runs on Linux, in a process of its own, since what fails there fails for
// all of it: the test's binary is started again for this test alone. Elsewhere
// it is skipped.
type FileFaults struct {
	// Use works in run.Dir, which is empty at first, and passes each error that
	// it meets to run.Failed. From then on nothing fails any more: what Use
	// holds must be usable, if need be by opening it again. It returns an error
	// only if it is not. What it knows to be durable it tells run.Ack.
	Use func(ctx context.Context, run *FileRun) error
	// Check looks at what Use left in a directory, with nothing failing: all
	// that was acknowledged must be there, and more can be written.
	Check func(ctx context.Context, dir string, acked []string) error
	// Tolerated reports whether a call may fail and nobody says so, because it
	// only tidies up. Nil means that none may.
	Tolerated func(FileCall) bool
	// MayDie is set where a failing call may end the process, as it does under
	// a library that trusts its disk. Check must find all the same that nothing
	// is lost.
	MayDie bool
	// MayWait is set where somebody tries again and again, and says nothing,
	// while calls fail. They then work again soon.
	MayWait bool
	// Points bounds how many calls fail in each of the five rounds, spread over
	// all of them; 0 means each.
	Points int
}

// FileCall is a call to the operating system.
type FileCall struct {
	Name string // such as fsync
	Path string // of the file
	// Reads is set for an open for reading, and the close of a file that was
	// only read.
	Reads bool
	// Err is what it failed with: syscall.EIO or syscall.ENOSPC.
	Err error
}

// String is for messages.
func (c FileCall) String() string {
	if c.Reads {
		return fmt.Sprintf("%s (to read) %s: %v", c.Name, c.Path, c.Err)
	}
	return fmt.Sprintf("%s %s: %v", c.Name, c.Path, c.Err)
}

// FileRun is one use of a directory.
type FileRun struct {
	Dir string

	in    *injector
	acked []string
	err   error // the first one that surfaced
	hit   []FileCall
}

// Failed takes an error that was met, and ends the failing.
func (r *FileRun) Failed(err error) {
	if r.err == nil && err != nil {
		r.err = err
		r.in.disarm()
	}
}

// Ack says that something is durable.
func (r *FileRun) Ack(what string) {
	r.acked = append(r.acked, what)
	fmt.Println("acked", what)
}

// patience is how long a failure lasts that nobody reports, hang how long nothing
// takes that goes on.
const (
	patience = 300 * time.Millisecond
	hang     = 2 * time.Minute
)

// faultKind is how calls fail in a round.
type faultKind struct {
	name    string
	errno   syscall.Errno
	lasting bool // from one call on, until somebody notices
	short   bool // half of a write is done, and the disk is full for the rest
}

var faultKinds = []faultKind{
	{name: "EIO", errno: syscall.EIO},
	{name: "ENOSPC", errno: syscall.ENOSPC},
	{name: "short", errno: syscall.ENOSPC, short: true},
	{name: "lasting-EIO", errno: syscall.EIO, lasting: true},
	{name: "lasting-ENOSPC", errno: syscall.ENOSPC, lasting: true},
}

// faultsEnv makes the test binary the process in which calls fail. It holds the
// directory, the round and the call to begin with.
const faultsEnv = "VCSTEST_FILE_FAULTS"

// Run runs the test.
func (f FileFaults) Run(t *testing.T) {
	if spec := os.Getenv(faultsEnv); spec != "" {
		if err := f.child(spec); err != nil {
			fmt.Println("fatal", oneLine(err))
		}
		return
	}
	root := memoryDir(t)
	total, silent, deaths := 0, 0, 0
	for round, kind := range faultKinds {
		for from := 0; from >= 0; {
			out := f.spawn(t, root, round, from)
			total, silent = total+out.points, silent+out.silent
			from = -1
			if !out.done {
				deaths++
				if !f.MayDie {
					t.Errorf("%s: the process died when call %d failed:\n%s", kind.name, out.at, out.tail)
				}
				if err := f.Check(t.Context(), out.dir, out.acked); err != nil {
					t.Errorf("%s: after the process died when call %d failed: %v\n%s", kind.name, out.at, err, out.tail)
				}
				t.Logf("%s: the process died of call %d: %.300s", kind.name, out.at, out.tail)
				from = out.at + out.stride
			}
		}
	}
	if total == 0 && !t.Skipped() {
		t.Error("no call has failed")
	}
	t.Logf("%d failing calls; %d that only tidied up; the process died of %d", total, silent, deaths)
}

// spawned is what a process printed.
type spawned struct {
	done           bool
	at, stride     int    // the last call that was to fail
	dir            string // where it was used
	acked          []string
	points, silent int
	tail           string // what it said that is no report
}

func (f FileFaults) spawn(t *testing.T, root string, round, from int) (s spawned) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+strings.ReplaceAll(regexp.QuoteMeta(t.Name()), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", faultsEnv, round, from, root))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.at, s.stride = from, 1
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "unsupported":
			_ = cmd.Wait()
			t.Skip(rest)
		case "begin":
			fmt.Sscan(rest, &s.at, &s.stride, &s.dir)
			s.acked = nil
		case "acked":
			s.acked = append(s.acked, rest)
		case "failed":
			s.points++
		case "silent":
			s.points, s.silent = s.points+1, s.silent+1
		case "wrong", "fatal":
			t.Errorf("%s: %s", faultKinds[round].name, rest)
		case "done":
			s.done = true
		default:
			if len(s.tail) < 4000 {
				s.tail += lines.Text() + "\n"
			}
		}
	}
	_ = cmd.Wait() // how it ended is told by its output
	return s
}

// child lets the calls of one round fail, each in turn.
func (f FileFaults) child(spec string) error {
	var round, from int
	var root string
	if _, err := fmt.Sscan(spec, &round, &from, &root); err != nil {
		return err
	}
	in, err := newInjector(root)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("unsupported", oneLine(err))
		return nil
	}
	if err != nil {
		return err
	}
	kind := faultKinds[round]
	calls, err := f.count(in, root)
	if err != nil {
		return fmt.Errorf("with nothing failing: %w", err)
	}
	stride := 1
	if f.Points > 0 {
		stride = max(1, (calls+f.Points-1)/f.Points)
	}
	if from == 0 {
		from = round % stride // other calls in other rounds
	}
	for at := from; at < calls; at += stride {
		if err := f.point(in, root, kind, at, stride); err != nil {
			fmt.Println("wrong", oneLine(err))
		}
	}
	fmt.Println("done")
	return nil
}

// count runs with nothing failing.
func (f FileFaults) count(in *injector, root string) (int, error) {
	r := &FileRun{Dir: filepath.Join(root, "count"), in: in}
	defer os.RemoveAll(r.Dir)
	in.arm(faultKinds[0], int(^uint(0)>>1))
	err := f.Use(context.Background(), r)
	calls, _ := in.disarm()
	return calls, errors.Join(err, r.err)
}

func (f FileFaults) point(in *injector, root string, kind faultKind, at, stride int) error {
	r := &FileRun{Dir: filepath.Join(root, kind.name+"-"+strconv.Itoa(at)), in: in}
	fmt.Println("begin", at, stride, r.Dir)
	in.arm(kind, at)
	var waited atomic.Bool
	heal := time.AfterFunc(patience, func() {
		waited.Store(true)
		in.disarm()
	})
	stuck := time.AfterFunc(hang, func() {
		buf := make([]byte, 1<<20)
		fmt.Println("wrong", oneLine(fmt.Errorf("call %d: it hangs:\n%s", at, buf[:runtime.Stack(buf, true)])))
		os.Exit(1)
	})
	err := f.Use(context.Background(), r)
	stuck.Stop()
	heal.Stop()
	_, r.hit = in.disarm()
	if len(r.hit) == 0 && r.err == nil && err == nil {
		return os.RemoveAll(r.Dir) // fewer calls than last time, or no write
	}
	what := fmt.Sprintf("call %d: %v", at, r.hit)
	if err != nil {
		return fmt.Errorf("%s: not usable afterwards: %w (it said: %v)", what, err, r.err)
	}
	if err := f.Check(context.Background(), r.Dir, r.acked); err != nil {
		return fmt.Errorf("%s: %w (it said: %v)", what, err, r.err)
	}
	tolerated := f.Tolerated != nil && len(r.hit) > 0 && f.Tolerated(r.hit[0]) || waited.Load() && f.MayWait
	switch {
	case r.err == nil && !tolerated:
		return fmt.Errorf("%s: nobody says so", what)
	case r.err == nil:
		fmt.Println("silent", what)
	default:
		fmt.Println("failed", oneLine(r.err))
	}
	return os.RemoveAll(r.Dir)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " / ") }
