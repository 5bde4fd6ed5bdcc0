package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arpeggio/internal/openrepo"
	"arpeggio/vcs"
	"arpeggio/vcs/gitserve"
)

type gitServeCmd struct {
	repoFlags
	Listen     string `default:"127.0.0.1:8082" placeholder:"ADDR" help:"Where to listen (${default})."`
	WriteToken string `placeholder:"FILE" type:"path" help:"Take pushes from who knows a token of this file. Default: read only."`
}

func (*gitServeCmd) Help() string {
	return `Serve a repository to git over HTTP. Reading needs no password; writing is off
unless --write-token names a file with a line a token, which is used as the
password (any user name will do):

  # token of at least 16 characters, then what it may do (default: create and
  # fast-forward branches, create tags)
  2b1f9c7e5d3a48e6  refs/heads/primary:update  refs/heads/node/*:create,update,unrelated

Example:

  arpeggio git-serve --repo arp.git --write-token tokens
  git push http://me:2b1f9c7e5d3a48e6@127.0.0.1:8082/arp.git primary`
}

func (c *gitServeCmd) Run(ctx context.Context) (err error) {
	s, err := c.open(ctx, printFlags{Color: "never", NoPager: true})
	if err != nil {
		return err
	}
	defer s.close(&err)
	cfg := gitserve.Config{Repository: nowRepository{ctx, s.repo}, Prefix: "/" + repoName(c.Repo)}
	if s.repo.Kind == openrepo.Badger {
		cfg.Repository = s.Store // in nobody else's hands, and it knows its epochs
	}
	if c.WriteToken != "" {
		if err := s.repo.Writable(); err != nil {
			return err
		}
		if cfg.Push, err = pushConfig(c.WriteToken); err != nil {
			return err
		}
		cfg.Push.Writer = s.Store
		cfg.Repository = s.Store // nobody else writes it meanwhile
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return withHint(fmt.Errorf("cannot listen on %s: %w", c.Listen, err), "choose another address with --listen ADDR:PORT")
	}
	srv := &http.Server{Handler: gitserve.New(cfg), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	url := "http://" + ln.Addr().String() + cfg.Prefix
	fmt.Printf("serving  git clone %s\n", url)
	if cfg.Push != nil {
		fmt.Printf("  push   git push with a token of %s as the password\n", c.WriteToken)
	}
	fmt.Printf("  stop   Ctrl-C, or kill -TERM %d\n", os.Getpid())
	stop := context.AfterFunc(ctx, func() {
		dctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if srv.Shutdown(dctx) != nil {
			srv.Close()
		}
	})
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return nil
}

// repoName is the last part of the URL under which a repository is served.
func repoName(location string) string {
	name := filepath.Base(strings.TrimSuffix(filepath.Clean(location), "/.git"))
	if name == "." || name == "/" {
		name = "arp"
	}
	return strings.TrimSuffix(name, ".git") + ".git"
}

// nowRepository shows a repository as it is at each request, whoever else
// writes it.
type nowRepository struct {
	ctx  context.Context
	repo *openrepo.Repo
}

func (n nowRepository) Refs() ([]vcs.Ref, error) { return n.repo.Current(n.ctx) }
func (n nowRepository) Head() string             { return n.repo.Store.Head() }
func (n nowRepository) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	return n.repo.Store.ReadObject(id)
}

// FindObjects implements vcs.ObjectFinder.
func (n nowRepository) FindObjects(ctx context.Context, ids ...vcs.ID) error {
	return n.repo.Store.FindObjects(ctx, ids...)
}
