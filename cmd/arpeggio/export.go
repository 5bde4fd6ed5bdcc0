package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"arpeggio/arp/exchange"
	"arpeggio/arp/vendors"
	"arpeggio/internal/history"
	"arpeggio/internal/transfer"
)

type exportCmd struct {
	repoFlags
	Pinned bool   `help:"Only what an operator has pinned."`
	Format string `arg:"" name:"format" enum:"arp.dat,csv,ethers,neigh" help:"arp.dat (arpwatch), csv, ethers or neigh (as ip -j neigh prints it)."`
	Rev    string `arg:"" optional:"" default:"HEAD" name:"rev|time" help:"A revision or a time (HEAD)."`
}

func (*exportCmd) Help() string {
	return `Print the table in the format of another tool: who holds an address, and in arp.dat
also who held it. What a format cannot hold (IPv6, VLANs) is left out and counted.
When a station was last seen, and what imports said about host names and the
kernel's states, is known on the machine that keeps the history. Exit codes: 0 ok,
1 failure, 2 usage.

Examples:

  arpeggio export arp.dat --repo lan.arp > arp.dat
  arpeggio export csv 12:03 --repo lan.arp`
}

func (c *exportCmd) Run(ctx context.Context) (err error) {
	f, err := exchange.Lookup(c.Format)
	if err != nil {
		return usageError{err}
	}
	s, err := c.open(ctx, printFlags{NoPager: true})
	if err != nil {
		return err
	}
	defer s.close(&err)
	r, err := s.tableAt(c.Rev)
	if err == nil {
		err = s.oldTables(ctx, r.Commit)
	}
	if err != nil {
		return err
	}
	x := transfer.Export{Format: c.Format, Former: c.Format == "arp.dat", Pinned: c.Pinned}
	if c.Format == "csv" {
		x.Vendors = &vendors.Table{}
	}
	head, err := s.Head()
	if err != nil {
		return err
	}
	switch {
	case !r.At.Time.IsZero():
		x.At = r.At.Time
	case r.Commit.ID != head:
		x.At = r.Commit.Time().Add(time.Second - 1) // commits have whole seconds
	}
	if x.Rows, err = s.entryRows(r.Commit, true); err != nil {
		return err
	}
	if x.Seen, err = s.seen(history.ShortRef(s.Store.Head())); err != nil {
		return err
	}
	if x.Aside, err = s.aside(history.ShortRef(s.Store.Head())); err != nil {
		return err
	}
	left, err := f.Write(s.out, slices.Values(x.Table()))
	if err != nil {
		return err
	}
	if left > 0 {
		note("%s left out: %s cannot hold them", count(left, "row"), c.Format)
	}
	return nil
}

// aside reads what imports said beyond the history, beside a local repository, as
// far as it is whole.
func (s *session) aside(branch string) (*transfer.Aside, error) {
	if info, err := os.Stat(s.repo.Location); err != nil || !info.IsDir() {
		return nil, nil
	}
	x, err := transfer.LoadAside(transfer.AsidePath(s.repo.Location, branch), maxSeen)
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil {
		note("%v; what imports said beyond the history may be missing", err)
	}
	return x, nil
}
