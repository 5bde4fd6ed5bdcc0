package observer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/internal/recording"
	"arpeggio/stack/capture"
	"arpeggio/vcs"
)

// leads remembers what the frame that is being looked at has led to, for the
// recording: a commit that rests on it, or a part of one to come.
func (o *Observer) leads(r *observe.Record, id vcs.ID) {
	if o.cfg.Record == nil || len(r.Frame()) == 0 || !bytes.HasPrefix(o.frame, r.Frame()) {
		return
	}
	text := recording.CommitText(id)
	switch {
	case r.Folded:
		text = "part of the commit of its second"
	case id.IsZero():
		return
	}
	if !slices.Contains(o.led, text) {
		o.led = append(o.led, text)
	}
}

// record writes a frame to the recording, with what it has led to behind what was
// beside it already.
func (o *Observer) record(src *source, at time.Time, p *capture.Packet) error {
	if o.cfg.Record == nil {
		return nil
	}
	q := *p
	q.Interface, q.Time = src.record, at
	for _, text := range o.led {
		switch {
		case q.Comment == "":
			q.Comment = text
		case !strings.Contains(q.Comment, text):
			q.Comment += "; " + text
		}
	}
	if err := o.cfg.Record.WritePacket(q); err != nil {
		return fmt.Errorf("the recording: %w", err)
	}
	return nil
}
