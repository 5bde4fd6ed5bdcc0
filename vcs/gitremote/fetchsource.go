package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// fetchSource is a repository that objects are fetched from.
type fetchSource interface {
	advertisement() *advertisement
	// download writes a pack with what is wanted and not had; nothing when
	// nothing is wanted.
	download(ctx context.Context, q question, w io.Writer) error
	close()
}

// question says what a fetch asks for.
type question struct {
	wants, haves []vcs.ID
	// withTags asks for the annotated tags of what is sent, too.
	withTags bool
}

// maxHaves bounds what is offered to a remote as known, best first. More would
// save little.
const maxHaves = 1024

// openFetch connects to a remote and hears what it has.
func (o *RemoteOptions) openFetch(ctx context.Context, url string) (fetchSource, error) {
	r, err := o.reach(url, "fetch")
	if err != nil {
		return nil, err
	}
	if r.isLocal() {
		return openLocal(r.ep.Path)
	}
	session, err := r.via.NewUploadPackSession(r.ep, r.auth)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	s := &wireFetch{remote: r, session: session}
	if s.adv, err = r.advertised(ctx, session); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// wireFetch is an upload-pack on a remote.
type wireFetch struct {
	*remote
	session transport.UploadPackSession
	adv     *advertisement
}

func (s *wireFetch) advertisement() *advertisement { return s.adv }

func (s *wireFetch) close() {
	_ = s.session.Close() // all that matters was read
	s.remote.close()
}

func (s *wireFetch) download(ctx context.Context, q question, w io.Writer) error {
	if len(q.wants) == 0 {
		return nil
	}
	if err := s.exchange(ctx, q, w); err != nil {
		return s.failed(ctx, err)
	}
	return nil
}

func (s *wireFetch) exchange(ctx context.Context, q question, w io.Writer) error {
	caps := s.adv.caps
	req := packp.NewUploadPackRequestFromCapabilities(caps)
	req.Capabilities.Delete(capability.ThinPack)
	add := func(c capability.Capability) error {
		if !caps.Supports(c) {
			return nil
		}
		return req.Capabilities.Set(c)
	}
	if s.opts.Progress == nil {
		if err := add(capability.NoProgress); err != nil {
			return err
		}
	}
	if q.withTags {
		if err := add(capability.IncludeTag); err != nil {
			return err
		}
	}
	for _, id := range q.wants {
		req.Wants = append(req.Wants, plumbing.Hash(id))
	}
	for _, id := range q.haves[:min(len(q.haves), maxHaves)] {
		req.Haves = append(req.Haves, plumbing.Hash(id))
	}
	resp, err := s.session.UploadPack(ctx, req)
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
			d.Progress = s.progress()
			pack = d
		}
	}
	_, err = io.Copy(w, pack)
	return err
}

// localFetch is a repository on this machine, read directly.
type localFetch struct {
	dir *Dir
	adv *advertisement
}

func openLocal(path string) (fetchSource, error) {
	dir, err := OpenDir(path)
	if errors.Is(err, ErrNotRepository) {
		if inner, innerErr := OpenDir(filepath.Join(path, ".git")); innerErr == nil {
			dir, err = inner, nil
		}
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", ErrNoRemoteRepository, err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%w: %w", ErrPermission, err)
	case err != nil:
		return nil, err
	}
	s := &localFetch{dir: dir, adv: &advertisement{head: dir.Head(), peeled: map[string]vcs.ID{}}}
	if s.adv.refs, err = dir.Refs(); err != nil {
		s.close()
		return nil, err
	}
	for _, r := range s.adv.refs {
		if id, err := peel(dir, r.Target); err == nil && id != r.Target {
			s.adv.peeled[r.Name] = id
		}
	}
	return s, nil
}

func (s *localFetch) advertisement() *advertisement { return s.adv }

func (s *localFetch) close() { _ = s.dir.Close() }

func (s *localFetch) download(ctx context.Context, q question, w io.Writer) error {
	if len(q.wants) == 0 {
		return nil
	}
	set, err := packfile.Select(ctx, s.dir, packfile.Selection{Wants: q.wants, Haves: q.haves})
	if err != nil {
		return err
	}
	for name, target := range s.adv.peeled {
		if tag, _ := s.adv.ref(name); q.withTags && set.Has(target) && !set.Has(tag) {
			if err := s.addTag(set, tag); err != nil {
				return err
			}
		}
	}
	_, err = set.Write(w, packfile.Options{})
	return err
}

// addTag selects an annotated tag, and those that it tags.
func (s *localFetch) addTag(set *packfile.Set, id vcs.ID) error {
	for range maxTagDepth {
		kind, content, err := s.dir.ReadObject(id)
		if err != nil || kind != vcs.KindTag || set.Has(id) {
			return err
		}
		if err := set.Add(id); err != nil {
			return err
		}
		tag, err := vcs.ParseTag(content)
		if err != nil {
			return err
		}
		id = tag.Target
	}
	return nil
}
