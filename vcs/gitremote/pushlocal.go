package gitremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// localPush is stock git's receive-pack on a repository of this machine: with
// its hooks, its rules and its locks.
type localPush struct {
	*remote
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.Reader
	errs bytes.Buffer
	done bool
}

func (r *remote) startReceivePack(ctx context.Context) (pushSession, error) {
	if _, err := os.Stat(r.ep.Path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNoRemoteRepository, err)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("gitremote: push to %s: git is not installed: a push into a directory is its work; %w", r.url, err)
	}
	s := &localPush{remote: r}
	s.cmd = exec.CommandContext(ctx, git, "receive-pack", r.ep.Path)
	s.cmd.Stderr = &s.errs
	s.cmd.WaitDelay = time.Second // for what its hooks leave running
	if s.in, err = s.cmd.StdinPipe(); err == nil {
		s.out, err = s.cmd.StdoutPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("gitremote: push to %s: %w", r.url, err)
	}
	return s, nil
}

func (s *localPush) advertised(ctx context.Context) (*advertisement, error) {
	adv := packp.NewAdvRefs()
	if err := adv.Decode(s.out); err != nil && !errors.Is(err, packp.ErrEmptyAdvRefs) {
		s.done = true
		s.in.Close()
		_ = s.cmd.Wait() // says less than what it wrote
		switch said := strings.TrimSpace(s.errs.String()); {
		case ctx.Err() != nil:
		case strings.Contains(said, "does not appear to be a git repository"):
			return nil, fmt.Errorf("%w: %s", ErrNoRemoteRepository, s.url)
		case said != "":
			err = errors.New(clean(said))
		}
		return nil, s.failed(ctx, err)
	}
	s.met = true
	return readAdvertisement(adv), nil
}

func (s *localPush) exchange(_ context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	s.done = true
	err := req.Encode(s.in)
	s.in.Close()
	status, readErr := readReport(s.out, req)
	waitErr := s.cmd.Wait()
	if status == nil {
		if said := strings.TrimSpace(s.errs.String()); said != "" {
			readErr = errors.New(clean(said))
		}
		return nil, errors.Join(err, readErr, waitErr)
	}
	return status, nil
}

// Close ends a receive-pack that had nothing to do.
func (s *localPush) Close() error {
	if s.done {
		return nil
	}
	_, err := s.in.Write(pktline.FlushPkt)
	s.in.Close()
	return errors.Join(err, s.cmd.Wait())
}
