package main

import (
	"cmp"
	"context"
	"errors"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/internal/history"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// orderFlags are those of pin and unpin.
type orderFlags struct {
	repoFlags
	printFlags
	networkFlags
	On string `placeholder:"BRANCH" help:"The branch to write to (HEAD's)."`
}

type pinCmd struct {
	orderFlags
	Node    string `placeholder:"NAME" help:"The node on which the pin holds (the one that learned the address, or wrote last)."`
	Address string `arg:"" name:"address" help:"The IP address."`
	MAC     string `arg:"" name:"mac" help:"The MAC address that it is bound to."`
}

func (*pinCmd) Help() string {
	return `Bind an address to a MAC address: no packet moves it until unpin. The node is the
one that obeys; others take it for what that node says. The order is a commit on a
branch of its own, which is merged. Exit codes: 0 ok, 1 failure, 2 usage.

Example:

  arpeggio pin --repo arp.git 10.9.0.1 02:50:00:00:00:01`
}

func (c *pinCmd) Run(ctx context.Context) error {
	mac, err := ethernet.ParseAddr(c.MAC)
	if err != nil || !mac.IsStation() {
		return usagef("%s: want the MAC address of one station, such as 02:50:00:00:00:01", c.MAC)
	}
	return c.order(ctx, c.Address, func(s *session, repo *versioned.Repo, on string, k arp.Key, have versioned.Entry, info vcs.CommitInfo) error {
		node, err := s.pinNode(c.Node, on, have)
		if err != nil {
			return err
		}
		head, changed, err := versioned.Pin(ctx, repo, on, node, k, mac, info)
		switch {
		case err != nil:
			return err
		case !changed:
			return s.wrote(ctx, c.JSON, writeJSON{Did: "up to date", Branch: on}, "%v is pinned to %v already", k, mac)
		}
		return s.wrote(ctx, c.JSON, writeJSON{Did: "pinned", Branch: on, Commit: head.String()}, "%v is pinned to %v on node %s; %s is at %v now", k, mac, node, on, head.Short())
	})
}

// pinNode chooses the node of a pin.
func (s *session) pinNode(flag, on string, have versioned.Entry) (string, error) {
	if flag != "" && versioned.Clean(flag) != flag {
		return "", usagef("--node %q: want a name of printable characters", flag)
	}
	head, err := s.branch(on)
	if err != nil {
		return "", err
	}
	c, err := s.Store.ReadCommit(head)
	if err != nil {
		return "", err
	}
	node := cmp.Or(flag, have.Node, c.Trailer(versioned.TrailerNode))
	if node == "" {
		return "", usagef("the history does not say on which node: name it with --node")
	}
	return node, nil
}

type unpinCmd struct {
	orderFlags
	Address string `arg:"" name:"address" help:"The IP address."`
}

func (*unpinCmd) Help() string {
	return `End a pin: the address stays bound, and packets may move it again. Exit codes:
0 ok, 1 failure, 2 usage.

Example:

  arpeggio unpin --repo arp.git 10.9.0.1`
}

func (c *unpinCmd) Run(ctx context.Context) error {
	return c.order(ctx, c.Address, func(s *session, repo *versioned.Repo, on string, k arp.Key, _ versioned.Entry, info vcs.CommitInfo) error {
		head, err := versioned.Unpin(ctx, repo, on, k, info)
		if errors.Is(err, versioned.ErrNotPinned) {
			return withHint(err, "arpeggio table lists what is static")
		}
		if err != nil {
			return err
		}
		return s.wrote(ctx, c.JSON, writeJSON{Did: "unpinned", Branch: on, Commit: head.String()}, "%v is unpinned; %s is at %v now", k, on, head.Short())
	})
}

// order opens the repository to write and finds the address and what holds for
// it now.
func (f *orderFlags) order(ctx context.Context, address string,
	do func(s *session, repo *versioned.Repo, on string, k arp.Key, have versioned.Entry, info vcs.CommitInfo) error) (err error) {
	in, err := f.networks()
	if err != nil {
		return err
	}
	spec := history.ParseSpec(address)
	if !spec.Addr.IsValid() {
		return usagef("%s: want an IP address", address)
	}
	s, err := f.writable(ctx, f.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	on, err := s.target(f.On)
	if err != nil {
		return err
	}
	a, head, err := s.asker(on, 0)
	if err != nil {
		return err
	}
	k, others, err := a.Key(ctx, spec.Addr, in)
	a.Close()
	if err != nil {
		return chooseNetwork(err)
	}
	for _, o := range others {
		note("%v is known in VLAN %v, too: --vlan %v", spec.Addr, o.VLAN, o.VLAN)
	}
	repo, err := versioned.NewRepo(s.Store)
	if err != nil {
		return err
	}
	snap, err := repo.AtCommit(head.ID)
	if err != nil {
		return err
	}
	have, _, err := snap.Get(k)
	if err != nil && !errors.Is(err, vcs.ErrDecode) {
		return err
	}
	info := vcs.CommitInfo{Time: s.Now}
	info.Author, info.Committer = me()
	return do(s, repo, on, k, have, info)
}
