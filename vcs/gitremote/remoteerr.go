package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// failed says whose fault a failure is.
func (r *remote) failed(ctx context.Context, err error) error {
	var netErr *net.OpError
	var dnsErr *net.DNSError
	var urlErr *url.Error
	var status *githttp.Err
	var pathErr *fs.PathError
	switch {
	case errors.As(err, &pathErr), errors.Is(err, vcs.ErrCorrupt), errors.Is(err, vcs.ErrNotFound): // on our side
		return fmt.Errorf("gitremote: %s %s: %w", r.op, r.url, err)
	case ctx.Err() != nil:
		return fmt.Errorf("gitremote: %s %s: %w", r.op, r.url, context.Cause(ctx))
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return fmt.Errorf("%w: %s demands a user name and a password, or refuses the ones given", ErrPermission, r.url)
	case errors.Is(err, transport.ErrAuthorizationFailed),
		errors.Is(err, os.ErrPermission), strings.Contains(err.Error(), "creating SSH agent"), strings.Contains(err.Error(), "ssh: unable to authenticate"):
		return fmt.Errorf("%w: %s: %w", ErrPermission, r.url, trimmed{err})
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w: %s: check the path", ErrNoRemoteRepository, r.url)
	case errors.As(err, &status):
		return fmt.Errorf("%w: %s answers with status %d", ErrNotGitServer, r.url, status.StatusCode())
	case r.met:
		return fmt.Errorf("%w: %s %s: %w", ErrBrokenOff, r.op, r.url, err)
	case errors.As(err, &dnsErr), errors.As(err, &netErr), errors.As(err, &urlErr):
		if errors.As(err, &urlErr) { // its URL is ours, with the protocol's additions
			err = urlErr.Err
		}
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, r.url, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrNotGitServer, r.url, err)
}

// trimmed is an error without the end of line of what a server said.
type trimmed struct{ error }

func (t trimmed) Error() string { return strings.TrimSpace(t.error.Error()) }
func (t trimmed) Unwrap() error { return t.error }

// Redact takes the password out of a URL, so that it can be shown and recorded.
func Redact(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.User != nil {
		u.User = url.User(u.User.Username())
		return u.String()
	}
	return remote
}
