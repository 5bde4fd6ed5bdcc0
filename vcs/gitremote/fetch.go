package gitremote

import (
	"context"
	"errors"
	"io"

	"arpeggio/vcs"
)

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
func Fetch(ctx context.Context, url, dir string, opts RemoteOptions) (Report, error) {
	src, err := opts.openFetch(ctx, url)
	if err != nil {
		return Report{}, err
	}
	defer src.close()
	adv := src.advertisement()
	return update(dir, change{
		refs:  adv.refs,
		head:  adv.head,
		graph: true,
		write: func(w io.Writer, have vcs.ObjectReader, old []vcs.Ref) error {
			ask := question{}
			for _, r := range adv.refs {
				_, _, err := have.ReadObject(r.Target)
				if errors.Is(err, vcs.ErrNotFound) {
					ask.wants = append(ask.wants, r.Target)
				} else if err != nil {
					return err
				}
			}
			for _, r := range old {
				ask.haves = append(ask.haves, r.Target)
			}
			return src.download(ctx, ask, w)
		},
	})
}
