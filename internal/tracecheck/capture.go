package tracecheck

import (
	"fmt"
	"io"
	"time"

	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
)

// Capture gives h all packets of a capture, pcap or pcapng, that was taken next
// to the host, and ends the trace. Times count from the first packet. The
// capture must hold whole packets, as they are on the wire: what offload joins
// or leaves to the card is judged as it stands.
func (h *Host) Capture(r io.Reader) error {
	file, err := capture.NewReader(r)
	if err != nil {
		return err
	}
	var begin time.Time
	var at time.Duration
	for n := 1; ; n++ {
		p, err := file.Next()
		if err == io.EOF {
			return h.Close(at)
		}
		if err != nil {
			return err
		}
		if p.Length > len(p.Data) {
			return fmt.Errorf("tracecheck: packet %d is cut off after %d of %d octets: take the capture with a larger snap length", n, len(p.Data), p.Length)
		}
		if begin.IsZero() {
			begin = p.Time
		}
		at = max(at, p.Time.Sub(begin))
		eth, packet, err := ethernet.Parse(p.Data)
		if err != nil || eth.Type != ethernet.TypeIPv4 {
			continue
		}
		if err := h.Packet(at, packet); err != nil {
			return err
		}
	}
}
