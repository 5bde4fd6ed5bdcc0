package gitremote

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"arpeggio/vcs"
)

const (
	bundleSignature = "# v2 git bundle\n"
	maxBundleLine   = 4096
	maxBundleLines  = 1 << 20
)

// bundleHeader is what precedes the pack of gitformat-bundle(5).
type bundleHeader struct {
	prerequisites []vcs.ID
	refs          []vcs.Ref // without HEAD
	head          vcs.ID    // what HEAD pointed to, zero when not told
}

// ImportBundle adds a bundle of version 2 (`git bundle create`) to a bare Git
// directory, which is created when it is missing. The refs that the bundle lists
// are created or moved, others stay; moves that are no fast-forward are listed
// in Report.Forced. The pack is checked as a whole before a ref moves: its
// checksum, the form of each object and that nothing is missing. On any error
// the directory's refs are as before.
//
// The error wraps ErrBadBundle or ErrBadPack for damaged input and ErrIncomplete
// when dir lacks a prerequisite of the bundle.
func ImportBundle(r io.Reader, dir string) (Report, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	hdr, err := readBundleHeader(in)
	if err != nil {
		return Report{}, err
	}
	unlock, err := openForWriting(dir, hdr.headBranch())
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	d, err := OpenDir(dir)
	if err != nil {
		return Report{}, err
	}
	defer d.Close()
	for _, id := range hdr.prerequisites {
		if _, _, err := d.ReadObject(id); err != nil {
			if errors.Is(err, vcs.ErrNotFound) {
				return Report{}, fmt.Errorf("%w: the bundle builds on %s, which %s does not have; import the earlier bundle first",
					ErrIncomplete, id, dir)
			}
			return Report{}, err
		}
	}
	old, err := readRefs(dir)
	if err != nil {
		return Report{}, err
	}
	refs := mergeRefs(old, hdr.refs)
	return d.apply(old, change{
		refs:  refs,
		graph: true,
		write: func(w io.Writer, _ vcs.ObjectReader, _ []vcs.Ref) error {
			if _, err := io.Copy(w, in); err != nil {
				return fmt.Errorf("gitremote: read bundle: %w", err)
			}
			return nil
		},
	})
}

// mergeRefs returns old with the new refs added or put in place.
func mergeRefs(old, add []vcs.Ref) []vcs.Ref {
	m := refMap(old)
	for _, r := range add {
		m[r.Name] = r.Target
	}
	refs := make([]vcs.Ref, 0, len(m))
	for name, id := range m {
		refs = append(refs, vcs.Ref{Name: name, Target: id})
	}
	sortRefs(refs)
	return refs
}

// headBranch guesses the branch that a new repository checks out: of those that
// HEAD may have named, else of all, the one with a usual name, else the first.
func (h *bundleHeader) headBranch() string {
	var same, all []string
	for _, r := range h.refs {
		if strings.HasPrefix(r.Name, "refs/heads/") {
			all = append(all, r.Name)
			if r.Target == h.head {
				same = append(same, r.Name)
			}
		}
	}
	for _, names := range [][]string{same, all} {
		for _, usual := range []string{defaultHead, "refs/heads/main", "refs/heads/master"} {
			if slices.Contains(names, usual) {
				return usual
			}
		}
		if len(names) > 0 {
			return names[0]
		}
	}
	return defaultHead
}

// readBundleHeader reads up to and including the blank line before the pack.
func readBundleHeader(in *bufio.Reader) (*bundleHeader, error) {
	bad := func(format string, args ...any) (*bundleHeader, error) {
		return nil, fmt.Errorf("%w: %s", ErrBadBundle, fmt.Sprintf(format, args...))
	}
	line, err := bundleLine(in)
	if err != nil {
		return bad("no header: %v", err)
	}
	if line != bundleSignature {
		if strings.HasPrefix(line, "# v3 git bundle") {
			return bad("version 3 is not supported; write it with git bundle create --version=2")
		}
		return bad("it does not start with %q", bundleSignature)
	}
	hdr := new(bundleHeader)
	for n := 0; ; n++ {
		if line, err = bundleLine(in); err != nil {
			return bad("header: %v", err)
		}
		if line == "\n" {
			return hdr, nil
		}
		if n == maxBundleLines {
			return bad("more than %d header lines", maxBundleLines)
		}
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "-"); ok {
			hex, _, _ := strings.Cut(rest, " ")
			id, err := vcs.ParseID(hex)
			if err != nil {
				return bad("prerequisite: %v", err)
			}
			hdr.prerequisites = append(hdr.prerequisites, id)
			continue
		}
		hex, name, _ := strings.Cut(line, " ")
		id, err := vcs.ParseID(hex)
		if err != nil {
			return bad("ref: %v", err)
		}
		if name == "HEAD" {
			hdr.head = id
			continue
		}
		if err := vcs.CheckRefName(name); err != nil {
			return bad("%v", err)
		}
		hdr.refs = append(hdr.refs, vcs.Ref{Name: name, Target: id})
	}
}

func bundleLine(in *bufio.Reader) (string, error) {
	b, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(b) > maxBundleLine {
		return "", fmt.Errorf("a line is longer than %d bytes", maxBundleLine)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return string(b), err
}
