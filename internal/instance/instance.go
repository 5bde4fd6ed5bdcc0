// Package instance lets the commands of one user find the programs of that user
// that run: each of them listens at a Unix socket in one directory and answers
// requests there, over HTTP. Who may open the sockets is up to the file system;
// nobody but the user and root may.
package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Errors of Get.
var (
	// ErrNone: nothing of this user runs here.
	ErrNone = errors.New("nothing runs here that could be asked")
	// ErrMany: several run, and none was chosen.
	ErrMany = errors.New("several run here")
	// ErrUnknown: none has the name.
	ErrUnknown = errors.New("no such name runs here")
)

// EnvDir is the environment variable that names the directory of the sockets.
const EnvDir = "ARPEGGIO_RUNTIME_DIR"

// Dir returns the directory of the sockets: that of EnvDir, else one for the
// user in the place that the system has for such things.
func Dir() string {
	if d := os.Getenv(EnvDir); d != "" {
		return d
	}
	if os.Getuid() == 0 {
		return "/run/arpeggio"
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "arpeggio")
	}
	return filepath.Join(os.TempDir(), "arpeggio-"+strconv.Itoa(os.Getuid()))
}

// suffix ends the names of sockets: name.pid.sock.
const suffix = ".sock"

// Serve answers requests to this process under a name, such as that of its
// network interface. Nobody needs to be asked for stop to be called.
func Serve(name string, h http.Handler) (stop func(), err error) {
	dir := Dir()
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, clean(name)+"."+strconv.Itoa(os.Getpid())+suffix)
	// One of the same name is of a process that was killed: this one has its number.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("answer other programs at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // until Close
	}()
	return func() {
		_ = srv.Close()
		<-done
	}, nil
}

// makeDir makes the directory for the sockets, or checks the one that is there.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkDir(dir)
}

// checkDir sees that the directory belongs to the user: in a place that all can
// write to it could be anybody's.
func checkDir(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(sys.Uid) != os.Getuid() || st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that only this user can write to: remove it, or name another one in %s", dir, EnvDir)
	}
	return nil
}

// clean makes a file name of a name, which a terminal can show.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
}

// Instance is a program that runs.
type Instance struct {
	Name string
	PID  int
	path string
}

// String returns the name and the process's number.
func (i Instance) String() string { return fmt.Sprintf("%s (pid %d)", i.Name, i.PID) }

// List returns the programs that answer, by name and number. Sockets whose
// program has gone are removed. A directory that others can write to is an error.
func List() ([]Instance, error) {
	dir := Dir()
	if err := checkDir(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []Instance
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffix)
		dot := strings.LastIndexByte(base, '.')
		if !ok || dot < 0 {
			continue
		}
		pid, err := strconv.Atoi(base[dot+1:])
		if err != nil {
			continue
		}
		i := Instance{clean(base[:dot]), pid, filepath.Join(dir, e.Name())}
		c, err := net.DialTimeout("unix", i.path, time.Second)
		switch {
		case err == nil:
			_ = c.Close()
			out = append(out, i)
		case errors.Is(err, syscall.ECONNREFUSED) && abandoned(e, pid):
			_ = os.Remove(i.path)
		}
	}
	slices.SortFunc(out, func(a, b Instance) int {
		if n := strings.Compare(a.Name, b.Name); n != 0 {
			return n
		}
		return a.PID - b.PID
	})
	return out, nil
}

// abandoned reports whether a socket that refuses was left by a program that was
// killed. One that has just begun does not listen yet, and one that is busy may
// refuse for a moment.
func abandoned(e fs.DirEntry, pid int) bool {
	st, err := e.Info()
	return err == nil && time.Since(st.ModTime()) > 5*time.Second && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// Find returns the program that which names, by its name or number; the empty
// string is the only one that runs. The error wraps ErrNone, ErrMany or
// ErrUnknown.
func Find(which string) (Instance, error) {
	all, err := List()
	if err != nil {
		return Instance{}, err
	}
	if len(all) == 0 {
		return Instance{}, ErrNone
	}
	some := slices.DeleteFunc(slices.Clone(all), func(i Instance) bool {
		return which != "" && i.Name != which && strconv.Itoa(i.PID) != which
	})
	switch len(some) {
	case 1:
		return some[0], nil
	case 0:
		return Instance{}, fmt.Errorf("%w: %q; there are %s", ErrUnknown, which, list(all))
	}
	return Instance{}, fmt.Errorf("%w: %s", ErrMany, list(some))
}

func list(all []Instance) string {
	words := make([]string, len(all))
	for i := range all {
		words[i] = all[i].String()
	}
	return strings.Join(words, ", ")
}

// Get asks the program for path, such as "/sockets", and returns the answer,
// which the caller closes.
func (i Instance) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", i.path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %v: %w", i, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	_ = resp.Body.Close()
	return nil, fmt.Errorf("%v answers %d: %q", i, resp.StatusCode, strings.TrimSpace(string(why)))
}
