package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// pushSession talks to one receive-pack.
type pushSession interface {
	// advertised returns what the remote has. It is called once, first.
	advertised(ctx context.Context) (*advertisement, error)
	// exchange sends a request and returns the remote's report. An error with
	// a report does not matter. It is called once at most.
	exchange(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error)
	io.Closer
}

// openPush starts a receive-pack on the remote.
func (r *remote) openPush(ctx context.Context) (pushSession, error) {
	if r.isLocal() {
		return r.startReceivePack(ctx)
	}
	s, err := r.via.NewReceivePackSession(r.ep, r.auth)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	if r.http != nil {
		return &httpPush{wirePush{r, s}}, nil
	}
	return &wirePush{r, s}, nil
}

// wirePush is a session over a stream, by go-git.
type wirePush struct {
	*remote
	transport.ReceivePackSession
}

func (s *wirePush) advertised(ctx context.Context) (*advertisement, error) {
	return s.remote.advertised(ctx, s.ReceivePackSession)
}

func (s *wirePush) exchange(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	return s.ReceivePack(ctx, req)
}

// httpPush is a session over http. Go-git finds out who is there; it would hold
// the pack in memory, so this sends it from a file. Its length must be known:
// servers behind CGI take no chunks.
type httpPush struct{ wirePush }

func (s *httpPush) exchange(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	f, err := os.CreateTemp("", "arpeggio-push-*")
	if err != nil {
		return nil, fmt.Errorf("room for a pack: %w", err)
	}
	defer f.Close()
	os.Remove(f.Name()) // it lives as long as it is open
	if err := req.Encode(f); err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	resp, err := s.post(ctx, io.NewSectionReader(f, 0, size), size)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readReport(resp.Body, req)
}

func (s *httpPush) post(ctx context.Context, body io.Reader, size int64) (*http.Response, error) {
	ep := *s.ep // moved already if there was a redirection
	user := githttp.BasicAuth{Username: ep.User, Password: ep.Password}
	ep.User, ep.Password = "", ""
	h, err := http.NewRequestWithContext(ctx, http.MethodPost, ep.String()+"/"+transport.ReceivePackServiceName, body)
	if err != nil {
		return nil, err
	}
	h.ContentLength = size
	h.Header.Set("User-Agent", capability.DefaultAgent())
	h.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	h.Header.Set("Accept", "application/x-git-receive-pack-result")
	if a, ok := s.auth.(githttp.AuthMethod); ok {
		a.SetAuth(h)
	} else if user.Username != "" || user.Password != "" {
		user.SetAuth(h)
	}
	c := *s.http
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(h)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp, nil
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return nil, githttp.NewErr(resp)
	}
	resp.Body.Close()
	return nil, fmt.Errorf("it answers with status %s", resp.Status)
}

// readReport reads the answer to a push to its end, with what hooks say after
// the report.
func readReport(r io.Reader, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	if req.Capabilities.Supports(capability.Sideband64k) {
		d := sideband.NewDemuxer(sideband.Sideband64k, r)
		d.Progress = req.Progress
		r = d
	}
	if !req.Capabilities.Supports(capability.ReportStatus) {
		return nil, errors.New("it does not report the outcome of a push")
	}
	report := packp.NewReportStatus()
	if err := report.Decode(r); err != nil {
		return nil, err
	}
	_, err := io.Copy(io.Discard, r)
	return report, err
}
