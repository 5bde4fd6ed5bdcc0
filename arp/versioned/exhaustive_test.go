package versioned

import (
	"fmt"
	"os"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// histories are those of nodes whose clocks disagree: each sees one of two cards
// claim an address, lets it expire, or learns something else.
func histories() vcstest.Exhaustive[arp.Key, Entry] {
	k := key("10.9.0.1")
	return vcstest.Exhaustive[arp.Key, Entry]{
		Config: vcs.Config[arp.Key, Entry]{Layout: Layout{}, Codec: Codec{}, Merge: Merge},
		Key:    k, Choices: 4, Alike: true,
		Write: func(node, choice int, current vcs.Opt[Entry]) vcs.Opt[Entry] {
			e, changed := current.Value, false
			c := arp.Change{Key: k, Time: t0, MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(choice)}}
			switch choice {
			case 0:
				e, changed = put(e, &c, "n")
			case 1: // by a clock that runs ahead
				c.Time = t0.Add(3 * time.Second)
				e, changed = put(e, &c, "n")
			case 2: // by one that runs behind
				c.Time = t0.Add(-3 * time.Second)
				e, changed = expire(e, &c, "n")
			}
			if !changed {
				return current
			}
			return vcs.Some(e)
		},
		Keeps: func(result, written Entry) bool { return Join(result, written) == result },
	}
}

// soaks is what to add to bounds: one when SOAK is set, as make soak does.
func soaks() int {
	if os.Getenv("SOAK") != "" {
		return 1
	}
	return 0
}

// Every history of three nodes and five commits ends in equal trees, in which no
// observation is lost; and so it does when merges take any common ancestor for
// their base, or none.
func TestEveryHistoryConverges(t *testing.T) {
	e := histories()
	e.AnyBase, e.Commits = true, 5+soaks()
	vcstest.TestEvery(t, e)
	e.AnyBase, e.Choices = false, 2
	vcstest.TestEvery(t, e)
}

// The same when each node signs what it writes, and so decides ties.
func TestEveryHistoryOfNamedNodesConverges(t *testing.T) {
	e := histories()
	write := e.Write
	e.Write = func(node, choice int, current vcs.Opt[Entry]) vcs.Opt[Entry] {
		v := write(node, choice, current)
		if v != current {
			v.Value.Node = fmt.Sprint("n", node)
		}
		return v
	}
	e.Alike, e.AnyBase, e.Choices, e.Commits = false, true, 3, 5
	vcstest.TestEvery(t, e)
}

// Long histories of many nodes with random bases.
func TestLongHistoriesConverge(t *testing.T) {
	e := histories()
	e.AnyBase, e.Nodes, e.Commits = true, 6, 50
	found, err := e.Sample(50, 3)
	if err != nil || found.Several < 50 {
		t.Errorf("%+v, %v", found, err)
	}
}
