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

// ErrNoRefs: a bundle must hold at least one ref.
var ErrNoRefs = errors.New("packfile: bundle without refs")

// WriteBundle writes a bundle, version 2 (gitformat-bundle(5)): some refs and a
// pack of everything they reach that the prerequisites, commits which a reader
// of the bundle must hold, do not. A bundle without refs is refused, as git
// refuses it.
func WriteBundle(ctx context.Context, w io.Writer, r vcs.ObjectReader, refs []vcs.Ref, prerequisites []vcs.ID) error {
	if len(refs) == 0 {
		return ErrNoRefs
	}
	sel := Selection{Haves: prerequisites}
	head := bufio.NewWriter(w)
	fmt.Fprint(head, "# v2 git bundle\n")
	for _, id := range prerequisites {
		kind, content, err := r.ReadObject(id)
		if err != nil {
			return fmt.Errorf("prerequisite: %w", err)
		}
		if kind != vcs.KindCommit {
			return fmt.Errorf("prerequisite: %w: %v is a %v, not a commit", vcs.ErrWrongKind, id, kind)
		}
		_, msg, _ := strings.Cut(string(content), "\n\n")
		subject, _, _ := strings.Cut(msg, "\n")
		fmt.Fprintf(head, "-%v %s\n", id, subject)
	}
	for _, ref := range refs {
		sel.Wants = append(sel.Wants, ref.Target)
		fmt.Fprintf(head, "%v %s\n", ref.Target, ref.Name)
	}
	fmt.Fprint(head, "\n")
	set, err := Select(ctx, r, sel)
	if err != nil {
		return err
	}
	if err := head.Flush(); err != nil {
		return err
	}
	_, err = set.Write(w, Options{})
	return err
}
