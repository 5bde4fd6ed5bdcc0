package packfile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"arpeggio/vcs"
)

// ErrBundle: input that does not begin with the header of a bundle that this
// package reads.
var ErrBundle = errors.New("packfile: not a bundle")

// Bounds of a bundle's header, which is held in memory.
const (
	maxBundleLine  = 4096
	maxBundleLines = 1 << 20
)

// BundleHeader is what precedes the pack of a bundle (gitformat-bundle(5)).
type BundleHeader struct {
	// Refs are those that the bundle brings, in its order; HEAD may be among
	// them.
	Refs []vcs.Ref
	// Prerequisites are the commits that the pack builds on.
	Prerequisites []vcs.ID
}

// ReadBundleHeader reads the header of a bundle of version 2, or 3 with SHA-1
// and without a filter, up to the first byte of the pack. The error wraps
// ErrBundle, or is the reader's.
func ReadBundleHeader(in *bufio.Reader) (*BundleHeader, error) {
	line, err := bundleLine(in)
	if err != nil {
		return nil, err
	}
	version := 0
	switch line {
	case "# v2 git bundle":
		version = 2
	case "# v3 git bundle":
		version = 3
	default:
		return nil, fmt.Errorf("%w: the first line is %.40q", ErrBundle, line)
	}
	h := &BundleHeader{}
	for range maxBundleLines {
		if line, err = bundleLine(in); err != nil {
			return nil, err
		}
		if line == "" {
			return h, nil
		}
		if capability, ok := strings.CutPrefix(line, "@"); ok && version == 3 {
			if capability != "object-format=sha1" {
				return nil, fmt.Errorf("%w that can be read: it needs %.80q; write it with git bundle create --version=2", ErrBundle, capability)
			}
			continue
		}
		if err := h.line(line); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the header has more than %d lines", ErrBundle, maxBundleLines)
}

func (h *BundleHeader) line(line string) error {
	text, prerequisite := strings.CutPrefix(line, "-")
	hex, name, named := strings.Cut(text, " ")
	id, err := vcs.ParseID(hex)
	switch {
	case err != nil || id.IsZero():
		return fmt.Errorf("%w: header line %.80q", ErrBundle, line)
	case prerequisite:
		h.Prerequisites = append(h.Prerequisites, id)
		return nil
	case !named:
		return fmt.Errorf("%w: header line %.80q names no ref", ErrBundle, line)
	}
	if name != "HEAD" {
		if err := vcs.CheckRefName(name); err != nil {
			return fmt.Errorf("%w: %w", ErrBundle, err)
		}
	}
	h.Refs = append(h.Refs, vcs.Ref{Name: name, Target: id})
	return nil
}

// bundleLine reads a line without its newline.
func bundleLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxBundleLine:
			return "", fmt.Errorf("%w: a header line is longer than %d bytes", ErrBundle, maxBundleLine)
		case err == nil:
			return string(line[:len(line)-1]), nil
		case errors.Is(err, io.EOF):
			return "", fmt.Errorf("%w: the header is cut off", ErrBundle)
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// Receiver takes in objects; a vcs.Store is one.
type Receiver interface {
	vcs.ObjectReader
	AddObjects(ctx context.Context, objs []vcs.Object) error
}

// ImportBundle adds to a store what the refs of a bundle lead to, and returns the
// header. It changes no ref: the caller decides whether to create a branch, to
// fast-forward one, or to merge. The pack is checked as a whole before anything
// is added, with all that Index and Check refuse, and so is that nothing is
// missing. Config's Bases are the store.
//
// The error wraps ErrBundle for another file, ErrMissing when the store lacks a
// prerequisite or the bundle an object, or is one of Index, Check or the store.
func ImportBundle(ctx context.Context, r io.Reader, store Receiver, cfg Config) (*BundleHeader, error) {
	in := bufio.NewReader(r)
	h, err := ReadBundleHeader(in)
	if err != nil {
		return nil, err
	}
	for _, id := range h.Prerequisites {
		switch kind, _, err := store.ReadObject(id); {
		case errors.Is(err, vcs.ErrNotFound):
			return nil, fmt.Errorf("%w: the bundle builds on commit %v; import the bundle that has it first", ErrMissing, id)
		case err != nil:
			return nil, err
		case kind != vcs.KindCommit:
			return nil, fmt.Errorf("%w: prerequisite %v is a %v", ErrBundle, id, kind)
		}
	}
	cfg.Bases = store
	pack, err := Index(ctx, in, cfg)
	if err != nil {
		return nil, err
	}
	checked, err := pack.Check(ctx, store)
	if err != nil {
		return nil, err
	}
	tips := make([]vcs.ID, len(h.Refs))
	for i, ref := range h.Refs {
		if err := checked.Complete(ref.Target); err != nil {
			return nil, fmt.Errorf("%s: %w", ref.Name, err)
		}
		tips[i] = ref.Target
	}
	var group []vcs.Object
	size := 0
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := store.AddObjects(ctx, group)
		group, size = nil, 0 // the store keeps the objects, not the list
		return err
	}
	for o, err := range checked.New(ctx, tips...) {
		if err != nil {
			return nil, err
		}
		group = append(group, o)
		if size += len(o.Content); size >= importGroup || len(group) == maxImportGroup {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return h, flush()
}

// A group of objects is added at one time: this many bytes or objects.
const (
	importGroup    = 1 << 20
	maxImportGroup = 1024
)
