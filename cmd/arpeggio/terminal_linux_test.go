package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/internal/testproc"
	"arpeggio/vcs/gitremote"
)

// screen is a pseudo-terminal on which a program runs, and what it shows.
type screen struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	text bytes.Buffer
	done chan struct{} // closed when all has been read
}

// onScreen starts a program on a terminal of 25 lines and 100 columns, of which it
// is the session's leader.
func onScreen(t *testing.T, env []string, args ...string) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: 100}); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, master: master, cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	home := t.TempDir()
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "TERM=xterm", "TZ=UTC"}, env...)
	if err := testproc.Start(s.cmd); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go func() {
		defer close(s.done)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			s.mu.Lock()
			s.text.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return // EIO: nobody has it open any more
			}
		}
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		master.Close()
	})
	return s
}

// shows waits until the screen has shown some words.
func (s *screen) shows(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(testLimit); !re.MatchString(s.all()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the screen never shows %q: %q", pattern, s.all())
		}
	}
}

func (s *screen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.text.String(), "\r\n", "\n")
}

// keys types.
func (s *screen) keys(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program's end, and returns all that was shown.
func (s *screen) ends() string {
	s.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			s.t.Errorf("%v: %v\n%q", s.cmd.Args, err, s.all())
		}
	case <-time.After(testLimit):
		s.t.Fatalf("%v does not end: %q", s.cmd.Args, s.all())
	}
	<-s.done
	return s.all()
}

// TestTerminal runs commands as a person sees them: on a terminal, with colours,
// in a pager that can be left.
func TestTerminal(t *testing.T) {
	need(t, "git", "less")
	bin, dir := binary(t), filepath.Join(t.TempDir(), "arp.git")
	d, err := gitremote.CreateDir(dir, "refs/heads/primary")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeMorning(d); err != nil {
		t.Fatal(err)
	}
	log := []string{bin, "log", "--repo", dir, "-v"}
	const id, plain = "\x1b\\[33mcommit [0-9a-f]{40}", `commit [0-9a-f]{40}`

	t.Run("less", func(t *testing.T) {
		s := onScreen(t, nil, log...)
		s.shows(id + "[\\s\\S]*\n:") // its prompt: more than a page
		if strings.Contains(s.all(), "initial empty cache") {
			t.Error("all of it is shown, and not a page")
		}
		if strings.Contains(s.all(), "\x1b[?1049h") {
			t.Error("less took the screen over: it was not told LESS=FRX")
		}
		s.keys("q")
		if out := s.ends(); strings.Contains(out, "arpeggio:") || strings.Contains(strings.ToLower(out), "broken pipe") {
			t.Errorf("after q: %q", out)
		}
	})
	t.Run("all of it", func(t *testing.T) {
		s := onScreen(t, nil, log...)
		s.shows(":")
		s.keys("G")
		s.shows("initial empty cache")
		s.keys("q")
		s.ends()
	})
	t.Run("one page", func(t *testing.T) { // less ends by itself
		if out := onScreen(t, nil, bin, "log", "--repo", dir, "-n", "2").ends(); strings.Count(out, "\n") != 2 || !strings.Contains(out, "\x1b[33m") {
			t.Errorf("%q", out)
		}
	})
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"PAGER":          {env: []string{"PAGER=sed s/^/pager:/"}, want: "^pager:" + id},
		"GIT_PAGER":      {env: []string{"GIT_PAGER=sed s/^/git:/", "PAGER=sed s/^/pager:/"}, want: "^git:" + id},
		"ARPEGGIO_PAGER": {env: []string{"ARPEGGIO_PAGER=sed s/^/own:/", "GIT_PAGER=sed s/^/git:/"}, want: "^own:" + id},
		"none":           {env: []string{"PAGER=cat"}, want: "^" + id},
		"--no-pager":     {env: []string{"PAGER=sed s/^/pager:/"}, args: []string{"--no-pager"}, want: "^" + id},
		"NO_COLOR":       {env: []string{"PAGER=cat", "NO_COLOR=1"}, want: "^" + plain},
		"--color never":  {env: []string{"PAGER=cat"}, args: []string{"--color", "never"}, want: "^" + plain},
		"LESS":           {env: []string{"PAGER=echo LESS=$LESS; cat"}, want: "^LESS=FRX\n" + id},
		"own LESS":       {env: []string{"PAGER=echo LESS=$LESS; cat", "LESS=R"}, want: "^LESS=R\n" + id},
	} {
		t.Run(name, func(t *testing.T) {
			out := onScreen(t, c.env, append(log[:len(log):len(log)], c.args...)...).ends()
			if !regexp.MustCompile(c.want).MatchString(out) || !strings.Contains(out, "initial empty cache") {
				t.Errorf("%q, want %q", out, c.want)
			}
		})
	}
	t.Run("an error", func(t *testing.T) { // comes when the pager is gone, and is read
		s := onScreen(t, nil, bin, "show", "--repo", dir, "nosuch")
		s.cmd.Wait()
		<-s.done
		if out := s.all(); !strings.Contains(out, "arpeggio: ") || !strings.Contains(out, "nosuch") {
			t.Errorf("%q", out)
		}
	})
	t.Run("a pager that is not there", func(t *testing.T) {
		s := onScreen(t, []string{"PAGER=no-such-pager"}, log...)
		s.cmd.Wait()
		<-s.done
		if out := s.all(); !strings.Contains(out, "no-such-pager") {
			t.Errorf("%q", out)
		}
	})
}
