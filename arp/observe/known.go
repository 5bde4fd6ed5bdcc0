package observe

import (
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Owner is a MAC that holds or held an address.
type Owner struct {
	MAC         ethernet.Addr
	First, Last time.Time // when it was first and last seen with the address
	Frames      uint64    // in how many frames
}

// Known is what an Engine knows about an address. A restart hands it back with
// Engine.Seed.
type Known struct {
	Key    arp.Key
	Held   bool    // Owners[0] holds the address; false when it has expired
	Owners []Owner // newest first, without repetitions
}
