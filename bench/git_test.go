package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"arpeggio/vcs"
)

// git runs stock git without anybody's configuration and returns what it prints.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	return gitInput(ctx, dir, nil, args...)
}

func gitInput(ctx context.Context, dir string, in io.Reader, args ...string) (string, error) {
	out, _, err := runGit(ctx, dir, in, args...)
	return out, err
}

func runGit(ctx context.Context, dir string, in io.Reader, args ...string) (string, cost, error) {
	start := time.Now()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin, cmd.Env = dir, in, gitEnv()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", cost{}, fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	took := cost{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	return strings.TrimSpace(string(out)), took, nil
}

func gitEnv() []string {
	return append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME="+authorName, "GIT_AUTHOR_EMAIL="+authorEmail, "GIT_COMMITTER_NAME="+authorName, "GIT_COMMITTER_EMAIL="+authorEmail)
}

// stream writes input for git fast-import.
type stream struct {
	*bufio.Writer
	buf []byte
}

func newStream(w io.Writer) *stream { return &stream{Writer: bufio.NewWriterSize(w, 1<<20)} }

func (s *stream) commit(branch, message string, when int64, from string) {
	fmt.Fprintf(s, "commit refs/heads/%s\ncommitter %s <%s> %d +0000\ndata %d\n%s\n\n", branch, authorName, authorEmail, when, len(message)+1, message)
	if from != "" {
		fmt.Fprintf(s, "from refs/heads/%s\n", from)
	}
}

func (s *stream) set(w *workload, i int) {
	s.buf = w.appendValue(s.buf[:0], i)
	fmt.Fprintf(s, "M 100644 inline %s\ndata %d\n%s\n", prefixes{}.Path(addr(i)), len(s.buf), s.buf)
}

func (s *stream) create(w *workload, branch string) {
	s.commit(branch, "create", w.now, "")
	for i := range w.entries {
		s.set(w, i)
	}
}

// writeStream writes the workload's first commits to a file.
func writeStream(name string, entries, commits int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w, s := newWorkload(entries), newStream(f)
	s.create(w, branch)
	for range commits {
		i := w.next()
		s.commit(branch, w.subject(i), w.now, "")
		s.set(w, i)
	}
	s.WriteString("done\n")
	return s.Flush()
}

// fastImport makes a bare repository of a stream and says what that took and
// where a branch of it is.
func fastImport(ctx context.Context, dir, streamFile, branch string) (cost, vcs.ID, error) {
	if _, err := git(ctx, "", "init", "-q", "--bare", "--initial-branch="+branch, dir); err != nil {
		return cost{}, vcs.ID{}, err
	}
	in, err := os.Open(streamFile)
	if err != nil {
		return cost{}, vcs.ID{}, err
	}
	defer in.Close()
	_, took, err := runGit(ctx, dir, in, "fast-import", "--quiet", "--depth=50")
	if err != nil {
		return cost{}, vcs.ID{}, err
	}
	head, err := gitHead(ctx, dir, branch)
	return took, head, err
}

func gitHead(ctx context.Context, dir, rev string) (vcs.ID, error) {
	out, err := git(ctx, dir, "rev-parse", "--verify", rev)
	if err != nil {
		return vcs.ID{}, err
	}
	return vcs.ParseID(out)
}
