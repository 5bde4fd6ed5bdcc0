package appliance

import (
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/site"
)

// neighbors joins the cache (who is alive) with the table (how it was learnt).
func (a *Appliance) neighbors() []site.Neighbor {
	var out []site.Neighbor
	known := map[arp.Key]int{}
	for _, n := range a.node.ARP.Neighbors() {
		sn := site.Neighbor{Interface: n.Interface, Addr: n.Addr, State: n.State.String(), FirstSeen: n.Updated, Confirmed: n.Heard}
		if n.Confirmed.After(sn.Confirmed) {
			sn.Confirmed = n.Confirmed
		}
		if !n.MAC.IsZero() {
			sn.MAC = n.MAC.String()
		}
		if !n.VLAN.IsZero() {
			sn.VLAN = n.VLAN.String()
		}
		known[arp.Key{Domain: arp.DefaultDomain, VLAN: n.VLAN, Addr: n.Addr}] = len(out)
		out = append(out, sn)
	}
	for _, row := range a.table.Entries() {
		if i, ok := known[row.Key]; ok {
			out[i].Learned = row.Entry.Learned
			out[i].FirstSeen = time.Unix(row.Entry.FirstSeen, 0)
		}
	}
	return out
}

// branchName returns the short name of a branch's ref.
func branchName(ref string) (string, bool) { return strings.CutPrefix(ref, "refs/heads/") }
