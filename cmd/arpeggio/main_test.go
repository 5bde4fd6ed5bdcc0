package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"arpeggio/internal/instance"
	"arpeggio/internal/testproc"
)

// TestMain lets the test scripts call this program as arpeggio.
func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"arpeggio": func() {
		testproc.EndWithParent() // those that run in the background
		main()
	}})
}

// tidy removes what the tests share when they have run.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	// Programs that the tests start are not to be found where the user's are.
	run, err := os.MkdirTemp("", "arpeggio-run-")
	if err != nil {
		panic(err)
	}
	defer func() { os.RemoveAll(run); os.RemoveAll(shippedDir) }()
	os.Setenv(instance.EnvDir, run)
	return m.M.Run()
}

// shippedDir holds the binary that shipped builds.
var shippedDir string

// TestScripts runs the sessions in testdata/script: what a person types and what
// must be printed.
func TestScripts(t *testing.T) {
	kernel, err := kernelPath()
	if err != nil {
		t.Fatal(err)
	}
	bin := binary(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv(testproc.Env())
			env.Setenv("KERNEL", kernel)
			env.Setenv("BIN", bin)
			env.Setenv(instance.EnvDir, os.Getenv(instance.EnvDir))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mkcapture": mkcapture, "truncated": truncated, "listen": listenFor, "got": got},
	})
}

// kernelPath returns the kernel of the module that go.mod pins.
var kernelPath = sync.OnceValues(func() (string, error) {
	if out, err := exec.Command("go", "mod", "download", "github.com/gokrazy/kernel.amd64").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go mod download: %v: %s", err, out)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.amd64").Output()
	return filepath.Join(strings.TrimSpace(string(out)), "vmlinuz"), err
})

// shipped builds the binary as it ships, static and without the race detector,
// once for all tests.
var shipped = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "arpeggio-test-")
	if err != nil {
		return "", err
	}
	shippedDir = dir
	bin := filepath.Join(dir, "arpeggio")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %v\n%s", err, out)
	}
	return bin, nil
})

func binary(t *testing.T) string {
	t.Helper()
	bin, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// testLimit is how long a test waits, on a busy machine, for what must come. It
// waits no longer than it has to.
const testLimit = 4 * time.Minute

// process is the program running in the background.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string
	done   chan struct{}
	err    error // of Wait, once done
	stderr bytes.Buffer
	stdout strings.Builder
}

// spawn starts args and collects what it prints. It ends with the test.
func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(args[0], args[1:]...), lines: make(chan string, 1000), done: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := testproc.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			p.stdout.WriteString(sc.Text() + "\n")
			p.lines <- sc.Text()
		}
		close(p.lines)
		io.Copy(io.Discard, out)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			p.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-p.done:
			case <-time.After(testLimit):
				p.cmd.Process.Kill()
				<-p.done
			}
		}
		if t.Failed() {
			t.Logf("%s\n%s%s", strings.Join(args, " "), p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

// expect returns the submatches of the first line that matches.
func (p *process) expect(pattern string) []string {
	p.t.Helper()
	re, timeout := regexp.MustCompile(pattern), time.After(testLimit)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended without printing %q", pattern)
			}
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
		case <-timeout:
			p.t.Fatalf("nothing like %q within %v", pattern, testLimit)
		}
	}
}

// stop sends SIGINT, as Ctrl-C does, and wants an orderly end.
func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(testLimit):
		p.t.Fatalf("still running %v after Ctrl-C", testLimit)
	}
	if p.err != nil {
		p.t.Fatalf("after Ctrl-C: %v", p.err)
	}
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*testLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	return string(out), err
}

// must is command for what has to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused is command for what has to fail, with words that say why.
func refused(t *testing.T, words string, args ...string) {
	t.Helper()
	out, err := command(t, args...)
	if err == nil {
		t.Errorf("%s: succeeded\n%s", strings.Join(args, " "), out)
	} else if !regexp.MustCompile(words).MatchString(out) {
		t.Errorf("%s: printed\n%s\nwant %q in it", strings.Join(args, " "), out, words)
	}
}

// need skips the test when a program is missing here.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed (make test installs it where it can)", p)
		}
	}
}
