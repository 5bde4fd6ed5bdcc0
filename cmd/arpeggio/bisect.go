package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

type bisectCmd struct {
	repoFlags
	printFlags
	Good    []string `required:"" placeholder:"REV" help:"A revision or time at which all was well; may be repeated."`
	Bad     string   `default:"HEAD" placeholder:"REV" help:"One at which it was not (${default})."`
	Command []string `arg:"" name:"command" help:"The test, after --."`
}

func (*bisectCmd) Help() string {
	return `Find the first bad commit by running a command on few of them. It runs in a
directory that holds the commit's files, with the commit's id in ARPEGGIO_COMMIT,
its time in ARPEGGIO_TIME and the directory in ARPEGGIO_SNAPSHOT. It says what it
found by its exit code, as for git bisect run: 0 good, 125 cannot tell, any other
up to 127 bad, 128 and above give up. Exit codes of bisect itself: 0 found,
1 failure, 2 usage.

Example:

  arpeggio bisect --repo arp.git --good "yesterday 12:00" -- sh -c 'grep -rq "mac 02:50:2a:16:6d:01" .'`
}

// bisectJSON is a step of the search, and its end, for programs.
type bisectJSON struct {
	Verdict    string     `json:"verdict"` // good, bad, skip; first bad; undecided
	At         commitJSON `json:"at"`
	Left       int        `json:"left"`
	Candidates []string   `json:"candidates,omitempty"` // when undecided
}

func (c *bisectCmd) Run(ctx context.Context) (err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	var good []vcs.ID
	for _, rev := range c.Good {
		r, err := s.Resolve(rev)
		if err != nil {
			return err
		}
		good = append(good, r.Commit.ID)
	}
	bad, err := s.Resolve(c.Bad)
	if err != nil {
		return err
	}
	b, err := history.NewBisection(s.Store, good, bad.Commit.ID)
	if err != nil {
		return err
	}
	t := tester{session: s, command: absolute(c.Command), good: good[0]}
	for b.Left() > 1 {
		id, ok, err := b.Next()
		if err != nil {
			return err
		}
		if !ok {
			return c.undecided(s, b)
		}
		v, err := t.test(ctx, id)
		if err != nil {
			return err
		}
		if err := b.Mark(id, v); err != nil {
			return err
		}
		if err := c.report(s, b, v.String(), id); err != nil {
			return err
		}
	}
	return c.report(s, b, "first bad", b.Bad())
}

func (c *bisectCmd) report(s *session, b *history.Bisection, verdict string, id vcs.ID) error {
	at, err := s.Store.ReadCommit(id)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		s.out.JSON(bisectJSON{Verdict: verdict, At: toJSON(at, nil), Left: b.Left()})
	case verdict == "first bad":
		s.out.Printf("%v is the first bad commit\n%s\n", id, strings.Join(s.full(at, nil), "\n"))
	default:
		s.out.Printf("%-4s %s (%s)\n", verdict, s.line(at, nil), count(b.Left(), "candidate"))
	}
	return s.out.Flush()
}

// undecided reports that only commits are left that cannot be tested.
func (c *bisectCmd) undecided(s *session, b *history.Bisection) error {
	var ids []string
	for _, id := range b.Candidates() {
		ids = append(ids, id.String())
		at, err := s.Store.ReadCommit(id)
		if err != nil {
			return err
		}
		if !c.JSON {
			s.out.Printf("%s %s\n", s.out.Paint(cli.Changed, "may be"), s.line(at, nil))
		}
	}
	if c.JSON {
		bad, err := s.Store.ReadCommit(b.Bad())
		if err != nil {
			return err
		}
		s.out.JSON(bisectJSON{Verdict: "undecided", At: toJSON(bad, nil), Left: len(ids), Candidates: ids})
	}
	return fmt.Errorf("the first bad commit is one of %d, of which those not tested cannot be", len(ids))
}

// absolute makes a command that is named by a path independent of the directory
// in which it runs.
func absolute(command []string) []string {
	if strings.ContainsRune(command[0], filepath.Separator) {
		if p, err := filepath.Abs(command[0]); err == nil {
			return append([]string{p}, command[1:]...)
		}
	}
	return command
}

// tester runs the command on commits.
type tester struct {
	*session
	command []string
	good    vcs.ID
	trusted bool // the command is known to run
}

func (t *tester) test(ctx context.Context, id vcs.ID) (history.Verdict, error) {
	code, err := t.exitCode(ctx, id)
	if err != nil {
		return 0, err
	}
	if (code == 126 || code == 127) && !t.trusted {
		// A shell's way to say that there is no such command; git asks the same.
		again, err := t.exitCode(ctx, t.good)
		if err != nil {
			return 0, err
		}
		if again == code {
			return 0, fmt.Errorf("%s exits with %d on a good commit, too: it cannot be run", strings.Join(t.command, " "), code)
		}
	}
	t.trusted = true
	switch {
	case code == 0:
		return history.Good, nil
	case code == 125:
		return history.Skip, nil
	case code < 128:
		return history.Bad, nil
	}
	return 0, fmt.Errorf("%s exited with %d on %v: giving up", strings.Join(t.command, " "), code, id.Short())
}

// exitCode runs the command in a directory with a commit's files.
func (t *tester) exitCode(ctx context.Context, id vcs.ID) (int, error) {
	c, err := t.Store.ReadCommit(id)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "arpeggio-bisect-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := history.WriteFiles(ctx, t.Store, c, dir); err != nil {
		return 0, err
	}
	if err := t.out.Flush(); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, t.command[0], t.command[1:]...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, os.Stdin, os.Stdout, os.Stderr
	if t.out.IsJSON() {
		cmd.Stdout = os.Stderr
	}
	cmd.Env = append(os.Environ(), "ARPEGGIO_COMMIT="+id.String(), "ARPEGGIO_SNAPSHOT="+dir, "ARPEGGIO_TIME="+c.Time().UTC().Format(time.RFC3339))
	err = cmd.Run()
	if ctx.Err() != nil {
		return 0, errors.New("interrupted")
	}
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		if !ee.Exited() {
			return 128, nil // by a signal
		}
		return ee.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run the test: %w", err)
	}
	return 0, nil
}
