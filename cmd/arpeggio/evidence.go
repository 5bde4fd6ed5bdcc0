package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// evidence is the frame that a commit rests on.
type evidence struct {
	observe.Sighting
	kind string // as the commit says, which knows whether it was asked for
}

// evidenceOf returns nil for a commit without a frame.
func evidenceOf(c *vcs.Commit) *evidence {
	frame, err := hex.DecodeString(c.Trailer(versioned.TrailerFrame))
	if err != nil || len(frame) == 0 {
		return nil
	}
	e := &evidence{kind: c.Trailer(versioned.TrailerKind)}
	observe.Parse(&e.Sighting, frame, 0)
	e.Frame = frame
	if e.kind == "" && e.Reason == observe.ReasonNone {
		e.kind = e.Kind.String()
	}
	return e
}

// evidenceJSON is a frame for programs.
type evidenceJSON struct {
	Kind      string `json:"kind,omitempty"`
	Source    string `json:"ether_src"`
	Dest      string `json:"ether_dst"`
	VLAN      any    `json:"vlan"`
	MAC       string `json:"mac,omitempty"` // who says that it holds ip
	IP        string `json:"ip,omitempty"`
	TargetMAC string `json:"target_mac,omitempty"`
	Target    string `json:"target,omitempty"`
	Malformed string `json:"malformed,omitempty"` // the reason
	Frame     string `json:"frame"`
}

func (e *evidence) json() *evidenceJSON {
	if e == nil {
		return nil
	}
	j := &evidenceJSON{Kind: e.kind, Source: e.Source.String(), Dest: e.Dest.String(), VLAN: vlanJSON(e.VLAN), Frame: hex.EncodeToString(e.Frame)}
	if !e.MAC.IsZero() {
		j.MAC = e.MAC.String()
	}
	if !e.TargetMAC.IsZero() {
		j.TargetMAC = e.TargetMAC.String()
	}
	if e.Addr.IsValid() {
		j.IP = e.Addr.String()
	}
	if e.Target.IsValid() {
		j.Target = e.Target.String()
	}
	if e.Reason != observe.ReasonNone {
		j.Malformed = e.Reason.String()
	}
	return j
}

// words describes the frame: who sent it to whom, what it says, and its octets.
func (e *evidence) words() []string {
	kind := e.kind
	if kind == "" {
		kind = "frame"
	}
	to := e.Dest.String()
	switch {
	case e.Dest.IsBroadcast():
		to = "everybody"
	case e.Dest[0]&1 != 0:
		to += " (a group)"
	}
	line := fmt.Sprintf("Evidence: %s, sent by %v to %s", kind, e.Source, to)
	if e.VLAN != (ethernet.VLAN{}) {
		line += fmt.Sprintf(" in VLAN %v", e.VLAN)
	}
	lines := []string{line}
	if e.Reason != observe.ReasonNone {
		lines = append(lines, "  cannot be used: "+e.Reason.String())
	}
	if !e.MAC.IsZero() && e.MAC != e.Source {
		lines = append(lines, fmt.Sprintf("  the sender inside is another one: %v", e.MAC))
	}
	var says []string
	switch {
	case e.Addr.IsValid() && e.Claims():
		says = append(says, fmt.Sprintf("%v is at %v", e.Addr, e.MAC))
	case e.Addr.IsValid() && e.Addr.IsUnspecified():
		says = append(says, "claims no address")
	}
	if e.Target.IsValid() && e.Target != e.Addr {
		verb := "is for"
		switch e.Kind {
		case observe.KindRequest, observe.KindProbe, observe.KindSolicitation, observe.KindDuplicate:
			verb = "asks for"
		}
		says = append(says, fmt.Sprintf("%s %v", verb, e.Target))
	}
	if len(says) > 0 {
		lines = append(lines, "  says: "+strings.Join(says, "; "))
	}
	for i := 0; i < len(e.Frame); i += 16 {
		lines = append(lines, fmt.Sprintf("  %04x  % x", i, e.Frame[i:min(i+16, len(e.Frame))]))
	}
	return append(lines, "")
}
