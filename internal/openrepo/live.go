package openrepo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/gitserve"
)

// A badger store is open in one program at a time. That program serves it to
// the others of its user at a socket in the store's directory, for reading and
// for pushes: who may open the socket may as well write the store's files.
const (
	liveName   = "git.sock"
	livePrefix = "/store.git"
	liveURL    = "http://localhost" + livePrefix
)

// How long a command waits for one that has the store open without serving it,
// because it begins or ends just now, and how often it looks.
const (
	liveWait = 2 * time.Second
	liveLook = 20 * time.Millisecond
)

// ServeLive lets other programs of this user read and push to a badger store
// that this one has open in dir: Open finds it there. Stop it before the store is
// closed. The error is that of the socket, whose path must be under some hundred
// octets.
func ServeLive(dir string, store *vcs.Store) (stop func(), err error) {
	path := filepath.Join(dir, liveName)
	// It is of a program that was killed: the store is locked by this one.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("let other programs read %s: %w", dir, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, err
	}
	srv := &http.Server{
		Handler: gitserve.New(gitserve.Config{Repository: store, Prefix: livePrefix, Push: &gitserve.PushConfig{
			Writer: store,
			Authorize: func(*http.Request) (gitserve.Grant, error) {
				return gitserve.Grant{Name: "who owns the store", Allow: func(gitserve.Update) error { return nil }}, nil
			},
		}}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // until Close
	}()
	return func() {
		_ = srv.Close() // who reads meanwhile tries again, and finds the store free
		<-done
	}, nil
}

// openLive reads a store that another program has open, as that program serves
// it, or opens it when that program is done; locked is how opening it failed.
func (r *Repo) openLive(ctx context.Context, locked error) error {
	dir, err := filepath.Abs(r.Location)
	if err != nil {
		return err
	}
	mirror, err := r.mirror(dir)
	if err != nil {
		return err
	}
	opt := gitremote.RemoteOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, liveName))
	}}
	r.source = source{liveURL, opt}
	for until := time.Now().Add(liveWait); ; {
		err := r.fetch(ctx, mirror)
		if err == nil {
			r.Kind = Live
			return r.openGit(ctx, mirror, filepath.Join(mirror, "HEAD"))
		}
		gone := errors.Is(err, gitremote.ErrUnreachable) || errors.Is(err, gitremote.ErrBrokenOff)
		if !gone || ctx.Err() != nil {
			return fmt.Errorf("%w; what it serves of the store: %w", locked, err)
		}
		if time.Now().After(until) {
			return locked
		}
		time.Sleep(liveLook)
		if err := r.openBadger(ctx); !errors.Is(err, badger.ErrLocked) {
			return err
		}
	}
}

// openBadger opens a store of this program and serves it to others.
func (r *Repo) openBadger(ctx context.Context) error {
	b, err := badger.Open(ctx, r.Location, badger.Config{Logger: r.opt.Logger})
	if err != nil {
		return err
	}
	r.Kind, r.badger = Badger, b
	if err := r.openStore(ctx, b, ""); err != nil {
		return err
	}
	// Who cannot read it now can when this program is done.
	r.stop, _ = ServeLive(r.Location, r.Store)
	return nil
}
