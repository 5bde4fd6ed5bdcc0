package tuntap

import (
	"fmt"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// checkSize returns link.ErrTooBig for a frame that the device described by
// info can neither send whole nor cut.
func checkSize(f *link.Frame, info link.Info) error {
	n := f.Len()
	if n < ethernet.HeaderLen {
		return fmt.Errorf("tuntap: %s: frame of %d octets: %w", info.Name, n, ethernet.ErrShort)
	}
	switch {
	case f.GSO.Type == link.GSOTCP4 && info.Caps.Has(link.CapTSO4),
		f.GSO.Type == link.GSOTCP6 && info.Caps.Has(link.CapTSO6):
		return nil
	case f.GSO.Type != link.GSONone:
		return fmt.Errorf("%w: %s has no segmentation offload", link.ErrTooBig, info.Name)
	case n <= info.MTU+ethernet.HeaderLen:
		return nil
	}
	h, _, _ := ethernet.Parse(f.Head)
	if n > info.MTU+h.Len() {
		return fmt.Errorf("%w: %s: %d octets, MTU %d", link.ErrTooBig, info.Name, n, info.MTU)
	}
	return nil
}
