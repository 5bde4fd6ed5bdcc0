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

// remoteError says whose fault a failure is.
func remoteError(ctx context.Context, remote string, err error) error {
	remote = redact(remote)
	var netErr *net.OpError
	var dnsErr *net.DNSError
	var urlErr *url.Error
	var status *githttp.Err
	var pathErr *fs.PathError
	switch {
	case errors.As(err, &pathErr), errors.Is(err, vcs.ErrCorrupt): // on our side
		return fmt.Errorf("gitremote: fetch %s: %w", remote, err)
	case ctx.Err() != nil:
		return fmt.Errorf("gitremote: fetch %s: %w", remote, context.Cause(ctx))
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed),
		errors.Is(err, os.ErrPermission), strings.Contains(err.Error(), "ssh: unable to authenticate"):
		return fmt.Errorf("%w: %s: %w", ErrPermission, remote, err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w: %s: check the path", ErrNoRemoteRepository, remote)
	case errors.As(err, &status):
		return fmt.Errorf("%w: %s answers with status %d", ErrNotGitServer, remote, status.StatusCode())
	case errors.As(err, &dnsErr), errors.As(err, &netErr), errors.As(err, &urlErr):
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, remote, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrNotGitServer, remote, err)
}

// redact takes the password out of a URL that goes into a message.
func redact(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.User != nil {
		return u.Redacted()
	}
	return remote
}
