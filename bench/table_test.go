package bench

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// neighbours drives a versioned neighbour table the way a stack does: stations
// that are learned, move with an ARP reply as the evidence, and expire.
type neighbours struct {
	*versioned.Table
	store *vcs.Store
	back  *mem.Backend
	rnd   *rand.Rand
	now   time.Time
	macs  []ethernet.Addr
}

func newNeighbours(ctx context.Context, stations int) (*neighbours, error) {
	nb := &neighbours{back: mem.New(), rnd: rand.New(rand.NewPCG(1, 1)), now: time.Unix(firstSecond, 0), macs: make([]ethernet.Addr, stations)}
	var err error
	if nb.store, err = vcs.OpenStore(ctx, nb.back, vcs.StoreConfig{}); err != nil {
		return nil, err
	}
	start := nb.now
	if nb.Table, err = versioned.Open(ctx, nb.store, versioned.Config{Clock: func() time.Time { return start }}); err != nil {
		nb.store.Close()
		return nil, err
	}
	return nb, nil
}

func (nb *neighbours) close() error {
	err := nb.Table.Close()
	if serr := nb.store.Close(); err == nil {
		err = serr
	}
	return err
}

// next gives a station another address, or the first, or lets it expire.
func (nb *neighbours) next(i int, op arp.ChangeOp) {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 10<<24|9<<16|uint32(i+1))
	k := arp.Key{Addr: netip.AddrFrom4(ip)}
	old := nb.macs[i]
	nb.now = nb.now.Add(time.Duration(nb.rnd.IntN(3000)) * time.Millisecond)
	c := arp.Change{Op: op, Key: k, Old: old, Time: nb.now, Interface: "eth0"}
	if op == arp.OpExpired {
		w := arp.Work{ID: uint64(i + 1), Kind: arp.WorkExpiry, Key: k, Time: nb.now}
		c.Work, c.Rule = w.ID, "last probe unanswered"
		nb.Begin(w)
		nb.Expire(c)
		nb.End(w, arp.OutcomeFailed)
		return
	}
	for b := range nb.macs[i] {
		nb.macs[i][b] = byte(nb.rnd.Uint32())
	}
	nb.macs[i][0] = 2 // locally administered, one station
	c.MAC, c.Rule, c.Deadline = nb.macs[i], "solicited", nb.now.Add(20*time.Minute)
	c.Evidence = reply(ip, nb.macs[i])
	nb.Put(c)
}

// reply is an ARP reply from a station to us, as it stood on the wire.
func reply(ip [4]byte, mac ethernet.Addr) arp.Evidence {
	us, ours := ethernet.Addr{2, 0x50, 0x2a, 0x16, 0x6d, 1}, [4]byte{10, 9, 0, 1}
	f := append(append([]byte{}, us[:]...), mac[:]...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2)
	f = append(append(append(append(f, mac[:]...), ip[:]...), us[:]...), ours[:]...)
	e := arp.Evidence{Kind: arp.KindReply, Solicited: true, Source: mac}
	e.Len = uint8(copy(e.Frame[:], f))
	return e
}

// retainedTable: what the commits of package arp/versioned leave in the log.
func retainedTable(ctx context.Context, b *board) {
	b.section("Retained history, commits of arp/versioned with their evidence, bytes of log a commit")
	const stations = 10_000
	nb, err := newNeighbours(ctx, stations)
	if err != nil {
		b.fail("table", err)
		return
	}
	defer nb.close()
	for _, part := range []struct {
		name string
		op   arp.ChangeOp
		n    int
		bar  Bar
		note string
	}{
		{"station learned for the first time", arp.OpLearned, stations, Bar{}, "a new key, its path and texts"},
		{"station moved, with the frame", arp.OpMoved, 4 * stations, AtMost(80), ""},
		{"station expired: a branch and a merge commit", arp.OpExpired, stations, AtMost(80), ""},
	} {
		commits, merges, bytes, err := nb.run(ctx, part.op, part.n)
		if err != nil {
			b.fail(part.name, err)
			return
		}
		note := Number(float64(commits)) + " commits"
		if merges > 0 {
			note += ", " + Number(float64(merges)) + " merges"
		}
		if part.note != "" {
			note += ": " + part.note
		}
		b.add(Row{Name: part.name, Value: float64(bytes) / float64(commits+merges), Unit: "bytes", Bar: part.bar, Note: note})
	}
}

// run makes n changes and counts what they left.
func (nb *neighbours) run(ctx context.Context, op arp.ChangeOp, n int) (commits, merges uint64, bytes int, err error) {
	count := func() (versioned.Stats, int, error) {
		if err := nb.Sync(ctx); err != nil {
			return versioned.Stats{}, 0, err
		}
		n, err := logBytes(ctx, nb.back)
		return nb.Stats(), n, err
	}
	before, size, err := count()
	if err != nil {
		return 0, 0, 0, err
	}
	for i := range n {
		nb.next(i%len(nb.macs), op)
		if i%200 == 199 {
			if err := nb.Sync(ctx); err != nil {
				return 0, 0, 0, err
			}
		}
	}
	after, end, err := count()
	return after.Commits - before.Commits, after.Merges - before.Merges, end - size, err
}
