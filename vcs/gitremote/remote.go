package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// RemoteOptions says how a remote is reached. The zero value works.
type RemoteOptions struct {
	// HTTPClient is used for http and https. Nil means a client of this
	// package's own that dials with DialContext.
	HTTPClient *http.Client
	// DialContext connects for http and https, such as the DialContext of a
	// user-space stack. Nil means the operating system's network. It is not
	// used when HTTPClient is set, nor for ssh.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Username and Password are for http and https, in place of the ones that
	// the URL may hold (https://user:password@host/). An empty Username keeps
	// the URL's.
	Username, Password string
	// BearerToken is sent, for http and https, instead of a password.
	BearerToken string
	// SSHKeyFile is a private key without passphrase for ssh. Empty means the
	// SSH agent. Hosts are checked against the user's known_hosts.
	SSHKeyFile string
	// Progress receives what the server says meanwhile, as text. Nil discards.
	Progress io.Writer
}

// remote is a repository elsewhere and the way to it.
type remote struct {
	url  string // as it may be shown
	op   string // what is done with it, for messages
	ep   *transport.Endpoint
	auth transport.AuthMethod
	http *http.Client        // for http and https
	via  transport.Transport // nil for a repository on this machine
	opts *RemoteOptions
	own  bool // http is not the caller's
	met  bool // it has answered as a Git server does
}

// reach finds the way to a remote. Nothing is sent yet.
func (o *RemoteOptions) reach(url, op string) (*remote, error) {
	r := &remote{url: Redact(url), op: op, opts: o}
	var err error
	if r.ep, err = transport.NewEndpoint(url); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadURL, r.url, err)
	}
	switch r.ep.Protocol {
	case "http", "https":
		r.viaHTTP()
	case "ssh":
		err = r.viaSSH()
	case "file":
	default:
		err = fmt.Errorf("%w: %s: scheme %q is not supported; use http, https, ssh or file", ErrBadURL, r.url, r.ep.Protocol)
	}
	return r, err
}

func (r *remote) viaHTTP() {
	o := r.opts
	if r.http = o.HTTPClient; r.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		if o.DialContext != nil {
			t.DialContext, t.Proxy = o.DialContext, nil
		}
		r.http, r.own = &http.Client{Transport: t}, true
	}
	r.via = githttp.NewClient(r.http)
	switch {
	case o.BearerToken != "":
		r.auth = &githttp.TokenAuth{Token: o.BearerToken}
	case o.Username != "" || o.Password != "":
		a := &githttp.BasicAuth{Username: o.Username, Password: o.Password}
		if a.Username == "" {
			a.Username = r.ep.User
		}
		r.auth = a
	}
}

func (r *remote) viaSSH() error {
	r.via = ssh.NewClient(nil)
	if r.opts.SSHKeyFile == "" {
		return nil
	}
	user := r.ep.User
	if user == "" {
		user = ssh.DefaultUsername
	}
	auth, err := ssh.NewPublicKeysFromFile(user, r.opts.SSHKeyFile, "")
	if err != nil {
		return fmt.Errorf("gitremote: SSH key %s: %w", r.opts.SSHKeyFile, err)
	}
	r.auth = auth
	return nil
}

// isLocal reports whether the remote is a path on this machine.
func (r *remote) isLocal() bool { return r.via == nil }

// close lets go of connections.
func (r *remote) close() {
	if r.own {
		r.http.CloseIdleConnections()
	}
}

// progress is where the server's words go.
func (r *remote) progress() io.Writer {
	if r.opts.Progress == nil {
		return io.Discard
	}
	return r.opts.Progress
}

// advertisement is what a remote says of itself before anything is asked.
type advertisement struct {
	refs    []vcs.Ref         // sorted by name
	peeled  map[string]vcs.ID // what annotated tags finally name
	head    string            // the branch that HEAD names, "" when it is not told
	extra   []vcs.ID          // more that the remote has (.have)
	ignored []string          // refs whose names cannot stand here
	caps    *capability.List
}

func (a *advertisement) ref(name string) (vcs.ID, bool) {
	for _, r := range a.refs {
		if r.Name == name {
			return r.Target, true
		}
	}
	return vcs.ID{}, false
}

// advertised asks a session for its advertisement.
func (r *remote) advertised(ctx context.Context, session transport.Session) (*advertisement, error) {
	adv, err := session.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		adv, err = packp.NewAdvRefs(), nil
	}
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	r.met = true
	return readAdvertisement(adv), nil
}

// readAdvertisement takes an advertisement out of go-git's hands. Refs with
// names that git would refuse are left out, as git does.
func readAdvertisement(adv *packp.AdvRefs) *advertisement {
	a := &advertisement{peeled: make(map[string]vcs.ID, len(adv.Peeled)), caps: adv.Capabilities}
	for name, id := range adv.References {
		switch {
		case name == ".have":
			a.extra = append(a.extra, vcs.ID(id))
		case vcs.CheckRefName(name) != nil:
			a.ignored = append(a.ignored, name)
		default:
			a.refs = append(a.refs, vcs.Ref{Name: name, Target: vcs.ID(id)})
		}
	}
	sortRefs(a.refs)
	slices.Sort(a.ignored)
	for name, id := range adv.Peeled {
		a.peeled[name] = vcs.ID(id)
	}
	for _, s := range adv.Capabilities.Get(capability.SymRef) {
		if name, ok := strings.CutPrefix(s, "HEAD:"); ok && vcs.CheckRefName(name) == nil {
			a.head = name
		}
	}
	return a
}
