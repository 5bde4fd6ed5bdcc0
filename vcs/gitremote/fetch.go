package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// FetchOptions tunes Fetch. The zero value works.
type FetchOptions struct {
	// HTTPClient is used for http and https. Nil means a client of Fetch's own
	// that dials with DialContext.
	HTTPClient *http.Client
	// DialContext connects for http and https, such as the DialContext of a
	// user-space stack. Nil means the operating system's network. It is not
	// used when HTTPClient is set, nor for ssh.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// SSHKeyFile is a private key without passphrase for ssh. Empty means the
	// SSH agent. Hosts are checked against the user's known_hosts.
	SSHKeyFile string
	// Progress receives what the server says about its progress. Nil discards.
	Progress io.Writer
}

// Fetch makes dir a mirror of a remote repository: all of its refs and nothing
// else. The URL's scheme is http, https, ssh (also user@host:path) or file (also
// a plain path to a local repository). dir is created when it is missing; when
// it exists it is updated, transferring what is new. Refs that the remote
// rewound are moved and listed in Report.Forced; the objects that they led to
// stay.
//
// The pack is checked as a whole before a ref moves: its checksum, the form of
// each object and that nothing is missing. On any error the directory's refs are
// as before.
func Fetch(ctx context.Context, remote, dir string, opts FetchOptions) (Report, error) {
	ep, err := transport.NewEndpoint(remote)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %s: %w", ErrBadURL, redact(remote), err)
	}
	client, auth, err := opts.client(ep)
	if err != nil {
		return Report{}, err
	}
	if client == nil {
		return fetchLocal(ep.Path, dir)
	}
	session, err := client.NewUploadPackSession(ep, auth)
	if err != nil {
		return Report{}, remoteError(ctx, remote, err)
	}
	defer session.Close()
	adv, err := session.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		adv, err = packp.NewAdvRefs(), nil
	}
	if err != nil {
		return Report{}, remoteError(ctx, remote, err)
	}
	refs, head, err := advertised(adv)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", redact(remote), err)
	}
	return update(dir, change{
		refs: refs,
		head: head,
		write: func(w io.Writer, have vcs.ObjectReader, old []vcs.Ref) error {
			err := download(ctx, session, adv, refs, old, have, w, opts.Progress)
			if err != nil {
				return remoteError(ctx, remote, err)
			}
			return nil
		},
	})
}

// client returns the transport of a URL, nil for a local path.
func (o *FetchOptions) client(ep *transport.Endpoint) (transport.Transport, transport.AuthMethod, error) {
	switch ep.Protocol {
	case "http", "https":
		c := o.HTTPClient
		if c == nil {
			t := http.DefaultTransport.(*http.Transport).Clone()
			if o.DialContext != nil {
				t.DialContext, t.Proxy = o.DialContext, nil
			}
			c = &http.Client{Transport: t}
		}
		return githttp.NewClient(c), nil, nil
	case "ssh":
		if o.SSHKeyFile == "" {
			return ssh.NewClient(nil), nil, nil
		}
		user := ep.User
		if user == "" {
			user = ssh.DefaultUsername
		}
		auth, err := ssh.NewPublicKeysFromFile(user, o.SSHKeyFile, "")
		if err != nil {
			return nil, nil, fmt.Errorf("gitremote: SSH key %s: %w", o.SSHKeyFile, err)
		}
		return ssh.NewClient(nil), auth, nil
	case "file":
		return nil, nil, nil
	}
	return nil, nil, fmt.Errorf("%w: %s: scheme %q is not supported; use http, https, ssh or file",
		ErrBadURL, redact(ep.String()), ep.Protocol)
}

// advertised turns the server's advertisement into refs and HEAD's branch.
func advertised(adv *packp.AdvRefs) ([]vcs.Ref, string, error) {
	var refs []vcs.Ref
	for name, id := range adv.References {
		if err := vcs.CheckRefName(name); err != nil {
			return nil, "", fmt.Errorf("%w: it advertises a bad ref: %w", ErrNotGitServer, err)
		}
		refs = append(refs, vcs.Ref{Name: name, Target: vcs.ID(id)})
	}
	sortRefs(refs)
	head := ""
	for _, s := range adv.Capabilities.Get(capability.SymRef) {
		if name, ok := strings.CutPrefix(s, "HEAD:"); ok && vcs.CheckRefName(name) == nil {
			head = name
		}
	}
	return refs, head, nil
}

// maxHaves bounds what is offered as known. Tips beyond it would save little.
const maxHaves = 1024

// download writes the pack with everything that is new to w. It writes nothing
// when nothing is.
func download(ctx context.Context, session transport.UploadPackSession, adv *packp.AdvRefs,
	refs, old []vcs.Ref, have vcs.ObjectReader, w io.Writer, progress io.Writer) error {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Capabilities.Delete(capability.ThinPack)
	if progress == nil && adv.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	for _, r := range refs {
		_, _, err := have.ReadObject(r.Target)
		if errors.Is(err, vcs.ErrNotFound) {
			req.Wants = append(req.Wants, plumbing.Hash(r.Target))
		} else if err != nil {
			return err
		}
	}
	if len(req.Wants) == 0 {
		return nil
	}
	for _, r := range old[:min(len(old), maxHaves)] {
		req.Haves = append(req.Haves, plumbing.Hash(r.Target))
	}
	resp, err := session.UploadPack(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Close()
	var pack io.Reader = resp
	for kind, name := range map[sideband.Type]capability.Capability{
		sideband.Sideband: capability.Sideband, sideband.Sideband64k: capability.Sideband64k,
	} {
		if req.Capabilities.Supports(name) { // one of them at most
			d := sideband.NewDemuxer(kind, resp)
			d.Progress = progress
			pack = d
		}
	}
	_, err = io.Copy(w, pack)
	return err
}

// fetchLocal mirrors a repository on this machine.
func fetchLocal(path, dir string) (Report, error) {
	src, err := OpenDir(path)
	if errors.Is(err, ErrNotRepository) {
		if inner, innerErr := OpenDir(filepath.Join(path, ".git")); innerErr == nil {
			src, err = inner, nil
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return Report{}, fmt.Errorf("%w: %w", ErrNoRemoteRepository, err)
	}
	if errors.Is(err, os.ErrPermission) {
		return Report{}, fmt.Errorf("%w: %w", ErrPermission, err)
	}
	if err != nil {
		return Report{}, err
	}
	defer src.Close()
	refs, err := src.Refs()
	if err != nil {
		return Report{}, err
	}
	return update(dir, change{
		refs: refs,
		head: src.Head(),
		write: func(w io.Writer, have vcs.ObjectReader, old []vcs.Ref) error {
			return encodeNew(w, src, have, refs, old)
		},
	})
}
