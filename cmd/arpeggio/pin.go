package main

import (
	"cmp"
	"context"
	"errors"
	"net/netip"

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
	authFlags
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

  arpeggio pin --repo arp.git 10.9.0.1 02:50:00:00:00:01

` + liveHelp
}

func (c *pinCmd) Run(ctx context.Context) error {
	mac, err := ethernet.ParseAddr(c.MAC)
	if err != nil || !mac.IsStation() {
		return usagef("%s: want the MAC address of one station, such as 02:50:00:00:00:01", c.MAC)
	}
	return c.order(ctx, c.Address, func(o order) error {
		node, err := o.pinNode(c.Node, o.on, o.have)
		if err != nil {
			return err
		}
		head, changed, err := versioned.Pin(ctx, o.repo, o.on, node, o.key, mac, o.info)
		switch {
		case err != nil:
			return err
		case !changed:
			return o.wrote(ctx, c.JSON, writeJSON{Did: "up to date", Branch: o.on}, "%v is pinned to %v already", o.key, mac)
		}
		return o.wrote(ctx, c.JSON, writeJSON{Did: "pinned", Branch: o.on, Commit: head.String()},
			"%v is pinned to %v on node %s; %s is at %v now", o.key, mac, node, o.on, head.Short())
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

  arpeggio unpin --repo arp.git 10.9.0.1

` + liveHelp
}

func (c *unpinCmd) Run(ctx context.Context) error {
	return c.order(ctx, c.Address, func(o order) error {
		head, err := versioned.Unpin(ctx, o.repo, o.on, o.key, o.info)
		if errors.Is(err, versioned.ErrNotPinned) {
			return withHint(err, "arpeggio table lists what is static")
		}
		if err != nil {
			return err
		}
		return o.wrote(ctx, c.JSON, writeJSON{Did: "unpinned", Branch: o.on, Commit: head.String()}, "%v is unpinned; %s is at %v now", o.key, o.on, head.Short())
	})
}

// order is what pin and unpin are about: an address on a branch, what holds for
// it now, and who says so.
type order struct {
	*session
	repo *versioned.Repo
	on   string
	key  arp.Key
	have versioned.Entry
	info vcs.CommitInfo
}

// order opens the repository to write, finds the address, and carries an order
// out.
func (f *orderFlags) order(ctx context.Context, address string, do func(order) error) error {
	in, err := f.networks()
	if err != nil {
		return err
	}
	spec := history.ParseSpec(address)
	if !spec.Addr.IsValid() {
		return usagef("%s: want an IP address", address)
	}
	return f.write(ctx, f.printFlags, f.authFlags, func(s *session) error {
		o := order{session: s, info: vcs.CommitInfo{Time: s.Now}}
		o.info.Author, o.info.Committer = me()
		if err := f.find(ctx, &o, spec.Addr, in); err != nil {
			return err
		}
		return do(o)
	})
}

// find reads what an order is about.
func (f *orderFlags) find(ctx context.Context, o *order, addr netip.Addr, in history.Networks) (err error) {
	if o.on, err = o.target(f.On); err != nil {
		return err
	}
	a, head, err := o.asker(ctx, o.on, 0)
	if err != nil {
		return err
	}
	var others []arp.Key
	o.key, others, err = a.Key(ctx, addr, in)
	a.Close()
	if err != nil {
		return chooseNetwork(err)
	}
	for _, k := range others {
		note("%v is known in VLAN %v, too: --vlan %v", addr, k.VLAN, k.VLAN)
	}
	if o.repo, err = versioned.NewRepo(o.Store); err != nil {
		return err
	}
	snap, err := o.repo.AtCommit(head.ID)
	if err != nil {
		return err
	}
	o.have, _, err = snap.Get(o.key)
	if errors.Is(err, vcs.ErrDecode) {
		return nil // that one is replaced
	}
	return err
}
