package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/exchange"
	"arpeggio/arp/versioned"
	"arpeggio/internal/transfer"
	"arpeggio/vcs"
)

type importCmd struct {
	Format string            `arg:"" name:"format" enum:"addrwatch,arp.dat,csv,ethers,neigh" help:"addrwatch, arp.dat (arpwatch), csv, ethers or neigh (ip -j neigh)."`
	File   string            `arg:"" name:"file" help:"The file; - is standard input."`
	Repo   string            `required:"" env:"ARPEGGIO_REPO" placeholder:"DIR" help:"Write the history in this directory, made when missing; a bare Git directory will do."`
	Branch string            `default:"primary" placeholder:"NAME" help:"Write to this branch (${default})."`
	Node   string            `default:"observer" placeholder:"NAME" help:"Author of the commits (${default})."`
	Domain map[string]string `placeholder:"IFACE=NAME" help:"Broadcast domain of an interface. Default: lan for a single one, else each its name."`
	Skip   bool              `name:"skip-bad" help:"Leave out lines that cannot be used, and name them. Default: import nothing of such a file."`
}

func (*importCmd) Help() string {
	return `Write what another tool knows into a history: a commit for each address that is
new or has moved, in the order of the times that the file has, now for what has
none. Permanent bindings become pins. A file that is imported again makes no commit.
What a history does not hold, host names, the kernel's states and ages, stands in a
file beside it, for export. Exit codes: 0 ok, 1 failure, 2 usage.

Examples:

  arpeggio import arp.dat /var/lib/arpwatch/eth0.dat --repo lan.arp
  ip -j neigh | arpeggio import neigh - --repo lan.arp`
}

func (c *importCmd) Run(ctx context.Context) (err error) {
	f, err := exchange.Lookup(c.Format)
	if err != nil {
		return usageError{err}
	}
	if versioned.Clean(c.Node) != c.Node || strings.ContainsAny(c.Node, "<>") {
		return usagef("--node %q: want a name of printable ASCII without <>", c.Node)
	}
	if err := vcs.CheckRefName(vcs.BranchRef(c.Branch)); err != nil {
		return usagef("--branch: %v", err)
	}
	now := time.Now().Truncate(time.Second)
	rows, err := c.read(f, now)
	if err != nil {
		return err
	}
	log := (&observeFlags{}).logger()
	store, closeStore, err := openWritable(ctx, c.Repo, c.Branch, vcs.Retention{}, log)
	if err != nil {
		return err
	}
	defer func() {
		if e := closeStore(); err == nil {
			err = e
		}
	}()
	journal, err := versioned.OpenJournal(ctx, store, versioned.JournalConfig{Node: c.Node, Branch: c.Branch, Logger: log})
	if err != nil {
		return err
	}
	index := versioned.SeenPath(c.Repo, c.Branch)
	seen, err := versioned.LoadSeen(index, maxSeen)
	if errors.Is(err, versioned.ErrSeen) {
		note("%v; times of last sight may be missing", err)
	} else if err != nil {
		return err
	}
	besides := transfer.AsidePath(c.Repo, c.Branch)
	aside, err := transfer.LoadAside(besides, maxSeen)
	if err != nil {
		note("%v; what earlier imports said beyond the history may be missing", err)
	}
	im := &transfer.Import{Journal: journal, Seen: seen, Aside: aside, Format: c.Format, Domains: c.Domain, Now: now}
	st, err := im.Run(ctx, rows)
	if e := journal.Close(context.WithoutCancel(ctx)); err == nil {
		err = e
	}
	if e := errors.Join(saveSeen(index, im.Seen), aside.Save(besides)); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %s", count(st.Rows, "row"), count(st.Commits, "commit"))
	for _, k := range []struct {
		n    int
		what string
	}{
		{st.Refreshed, "seen later than was known"}, {st.Known, "known already"},
		{st.Older, "older than the last change of their address, kept as sightings"}, {st.Nameless, "kept for export, with a name and no address"},
	} {
		if k.n > 0 {
			text += fmt.Sprintf(", %d %s", k.n, k.what)
		}
	}
	note("%s", text)
	return nil
}

// tomorrow is how far ahead of this clock a file's may be.
const tomorrow = 24 * time.Hour

// read reads the file whole, so that nothing is imported of one that is bad.
func (c *importCmd) read(f exchange.Format, now time.Time) ([]exchange.Row, error) {
	var in io.Reader = os.Stdin
	name := "standard input"
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in, name = file, c.File
	}
	var skip func(*exchange.LineError)
	if c.Skip {
		skip = func(e *exchange.LineError) { note("%s: %v; skipped", name, e) }
	}
	rows, err := transfer.Read(f.Read(in), skip)
	var line *exchange.LineError
	switch {
	case errors.As(err, &line):
		return nil, withHint(fmt.Errorf("%s: %w; nothing was imported", name, err), "--skip-bad imports the rest")
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range rows {
		if rows[i].Seen.After(now.Add(tomorrow)) {
			return nil, fmt.Errorf("%s: %v was seen at %v, which is in the future; nothing was imported", name, rows[i].Key.Addr, rows[i].Seen)
		}
	}
	return rows, nil
}

// saveSeen replaces a seen index.
func saveSeen(path string, seen map[arp.Key][]versioned.SeenOwner) error {
	x := versioned.OpenSeenIndex(path)
	all := func(yield func(versioned.Seen) bool) {
		for k, owners := range seen {
			if !yield(versioned.Seen{Key: k, Owners: owners}) {
				return
			}
		}
	}
	none := iter.Seq[versioned.Seen](func(func(versioned.Seen) bool) {})
	return errors.Join(x.Save(none, all), x.Close())
}
