package vnet

import "fmt"

// Reason says why a frame was dropped.
type Reason uint8

const (
	none Reason = iota
	// DropLoss: Impairment.Loss or SmallLoss struck.
	DropLoss
	// DropRate: the queue of the rate limiter was full.
	DropRate
	// DropOutage: the outage of Impairment.OutageAfter.
	DropOutage
	// DropTooBig: the frame exceeds the MTU of the impairment or of the
	// receiving port.
	DropTooBig
	// DropDown: the port was switched off.
	DropDown
	// DropQueue: the port's receive queue was full; nobody read it in time.
	DropQueue
	// DropPartition: the only port that could want it is in another partition.
	DropPartition
	// DropFiltered: the destination is known behind the port it came from.
	DropFiltered
	// DropMalformed: shorter than an Ethernet header, or an offload descriptor
	// that does not fit the frame.
	DropMalformed
	// DropDevice: the device of an attachment refused the frame.
	DropDevice

	reasons
)

var reasonNames = [reasons]string{"none", "loss", "rate", "outage", "too big", "down", "queue full",
	"partition", "filtered", "malformed", "device"}

// String returns a short name such as "queue full".
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Drops counts dropped frames by Reason.
type Drops [reasons]uint64

// Total returns the sum over all reasons.
func (d *Drops) Total() (n uint64) {
	for _, v := range d {
		n += v
	}
	return n
}

// Counters counts what happened in one direction of a port. Frames and Bytes
// count what passed; super-frames count once.
type Counters struct {
	Frames, Bytes uint64
	Dropped       Drops
	// Corrupted, Duplicated, Reordered count what the impairment did.
	Corrupted, Duplicated, Reordered uint64
}

func (c *Counters) passed(n int) { c.Frames++; c.Bytes += uint64(n) }

func (c *Counters) suffered(f *fate) {
	if f.flip > 0 {
		c.Corrupted++
	}
	if f.twice {
		c.Duplicated++
	}
	if f.reordered {
		c.Reordered++
	}
}

// Stats are the counters of a port, named as its station sees them.
type Stats struct {
	Tx Counters // from the station into the switch
	Rx Counters // from the switch to the station
}
