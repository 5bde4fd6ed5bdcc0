package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
)

// roleVar makes the test binary play the part of another process, so that its
// memory is its own.
const roleVar = "BENCH_ROLE"

func play(role string) int {
	if role != "serve" {
		fmt.Fprintf(os.Stderr, "bench: no role %q\n", role)
		return 2
	}
	if err := playServer(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// playServer makes the workload of as many entries and commits as the first
// line says, serves it, and prints its address and head. To each further line it
// answers with the resident memory: to "rest" with what it takes now, and
// forgets the peak, to "peak" with the most since.
func playServer(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return lines.Err()
	}
	var entries, commits int
	if _, err := fmt.Sscan(lines.Text(), &entries, &commits); err != nil {
		return err
	}
	back := mem.New()
	o, err := newOurs(ctx, entries, back)
	if err != nil {
		return err
	}
	err = o.steps(ctx, commits)
	if err = errors.Join(err, o.Close()); err != nil {
		return err
	}
	if o, err = openOurs(ctx, back); err != nil {
		return err
	}
	defer o.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: gitserve.New(gitserve.Config{Repository: o.Store()})}
	go srv.Serve(l)
	defer srv.Close()
	fmt.Fprintf(out, "http://%v/ %v\n", l.Addr(), o.head)
	for lines.Scan() {
		var n int64
		switch lines.Text() {
		case "rest":
			runtime.GC()
			debug.FreeOSMemory()
			n, err = restMemory()
		case "peak":
			n, err = statusBytes("VmHWM:")
		default:
			err = fmt.Errorf("no command %q", lines.Text())
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, n)
	}
	return lines.Err()
}

// restMemory sets the peak to what is resident now, and returns that.
func restMemory() (int64, error) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	return statusBytes("VmRSS:")
}

// statusBytes reads a line of /proc/self/status that is in kB.
func statusBytes(key string) (int64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == key {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("resident memory: no %s in /proc/self/status", key)
}

// server is the other process.
type server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	url  string
	head vcs.ID
}

func startServer(ctx context.Context, entries, commits int) (*server, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, exe)}
	s.cmd.Env = append(os.Environ(), roleVar+"=serve")
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	answer, err := s.ask(fmt.Sprint(entries, " ", commits))
	if err == nil {
		url, head, _ := strings.Cut(answer, " ")
		s.url = url
		s.head, err = vcs.ParseID(head)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// ask sends a line and returns the one that comes back.
func (s *server) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		return "", err
	}
	if !s.out.Scan() {
		return "", errors.Join(errors.New("the serving process ended"), s.out.Err())
	}
	return s.out.Text(), nil
}

// memory asks for resident bytes.
func (s *server) memory(what string) (int64, error) {
	answer, err := s.ask(what)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(answer, 10, 64)
}

func (s *server) close() error {
	s.in.Close()
	return s.cmd.Wait()
}
