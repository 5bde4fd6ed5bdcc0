package instance_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/instance"
)

func serve(t *testing.T, name string) func() {
	t.Helper()
	stop, err := instance.Serve(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/name" {
			http.Error(w, "ask for /name", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, name)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return stop
}

func TestFindAndAsk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	t.Setenv(instance.EnvDir, dir)
	if _, err := instance.Find(""); !errors.Is(err, instance.ErrNone) {
		t.Errorf("before anything runs: %v", err)
	}
	stop := serve(t, "tap0")
	i, err := instance.Find("")
	if err != nil || i.Name != "tap0" || i.PID != os.Getpid() {
		t.Fatalf("%v, %v", i, err)
	}
	r, err := i.Get(t.Context(), "/name")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	r.Close()
	if string(b) != "tap0" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := i.Get(t.Context(), "/else"); err == nil || !strings.Contains(err.Error(), "ask for /name") {
		t.Errorf("of something else: %v", err)
	}

	serve(t, "tap/1.x")
	if _, err := instance.Find(""); !errors.Is(err, instance.ErrMany) || !strings.Contains(err.Error(), "tap0 (pid "+strconv.Itoa(os.Getpid())+"), tap_1_x") {
		t.Errorf("of two: %v", err)
	}
	if i, err := instance.Find("tap_1_x"); err != nil || i.Name != "tap_1_x" {
		t.Errorf("by name: %v, %v", i, err)
	}
	if _, err := instance.Find("tap7"); !errors.Is(err, instance.ErrUnknown) {
		t.Errorf("of an unknown name: %v", err)
	}
	stop()
	if i, err := instance.Find(""); err != nil || i.Name != "tap_1_x" {
		t.Errorf("after one has stopped: %v, %v", i, err)
	}
}

// A program that was killed leaves its socket, which is cleared away; files that
// are none stay.
func TestWhatTheKilledLeave(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(instance.EnvDir, dir)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const nobody = 1<<22 + 1 // above all process numbers
	leave := func(name string, pid int, age time.Duration) (path string) {
		t.Helper()
		path = filepath.Join(dir, fmt.Sprintf("%s.%d.sock", name, pid))
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		ln.Close()
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old := leave("tap0", nobody, time.Minute)
	leave("young", nobody, 0)
	leave("alive", os.Getpid(), time.Minute)
	os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600)
	os.WriteFile(filepath.Join(dir, "x.y.sock"), nil, 0o600)
	if _, err := instance.Find(""); !errors.Is(err, instance.ErrNone) {
		t.Error(err)
	}
	if _, err := os.Lstat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 4 {
		t.Errorf("left: %v", left)
	}
}

// A directory that others can write to is not trusted.
func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(instance.EnvDir, dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if stop, err := instance.Serve("tap0", http.NotFoundHandler()); err == nil {
		stop()
		t.Error("served in a directory of everybody")
	} else if !strings.Contains(err.Error(), instance.EnvDir) {
		t.Errorf("no remedy in %v", err)
	}
	if all, err := instance.List(); err == nil || !strings.Contains(err.Error(), instance.EnvDir) {
		t.Errorf("listed %v, %v", all, err)
	}
}

// What another program calls itself and says is shown without what would change a
// terminal.
func TestForeignWords(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(instance.EnvDir, dir)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "\x1b[2J.1.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "\x1b[2Jno", http.StatusTeapot) })}
	go srv.Serve(ln)
	defer srv.Close()
	i, err := instance.Find("")
	if err != nil || i.Name != "_[2J" {
		t.Fatalf("%q, %v", i.Name, err)
	}
	if _, err := i.Get(t.Context(), "/"); err == nil || strings.ContainsRune(err.Error(), '\x1b') || !strings.Contains(err.Error(), "[2Jno") {
		t.Errorf("%q", err)
	}
}
