package sockstat

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Ends returns the two ends as ss writes them: * for what is open, and the
// interface of a packet socket that is bound to one behind its address.
func (s *Socket) Ends() (local, peer string) {
	iface := ""
	if s.Proto == "udp" && s.Interface != "" {
		iface = "%" + s.Interface
	}
	return endText(s.Local, iface), endText(s.Peer, "")
}

func endText(a netip.AddrPort, iface string) string {
	if !a.IsValid() {
		return "*:*"
	}
	port := "*"
	if a.Port() != 0 {
		port = strconv.Itoa(int(a.Port()))
	}
	return a.Addr().String() + iface + ":" + port
}

// Details is the second line of ss -i, "" where there is nothing to say.
func (s *Socket) Details() string {
	switch {
	case s.TCP != nil:
		return "\t " + s.TCP.details()
	case s.Dropped > 0:
		return "\t dropped:" + strconv.FormatUint(s.Dropped, 10)
	case s.Opening > 0:
		return "\t opening:" + strconv.Itoa(s.Opening)
	}
	return ""
}

// TimerText returns the timer as ss -o has it, "" when none runs.
func (s *Socket) TimerText() string {
	t := s.TCP
	if t == nil || t.Timer == "none" {
		return ""
	}
	return fmt.Sprintf("timer:(%s,%s,%d)", t.Timer, Short(t.Expires), max(t.Backoff, t.Probes))
}

// Short writes a duration with its two leading units: 1min20sec, 12sec, 350ms.
func Short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(d/(100*time.Millisecond))/10), ".0") + "sec"
	case d < time.Minute:
		return fmt.Sprintf("%dsec", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dmin%dsec", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%dmin", d/time.Hour, d%time.Hour/time.Minute)
}

// ms writes a duration in milliseconds, with three digits behind the point at
// most.
func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
}

// bits writes a rate in bits a second.
func bits(r float64) string {
	for _, u := range []string{"bps", "Kbps", "Mbps", "Gbps"} {
		if r < 1000 || u == "Gbps" {
			return strconv.FormatFloat(r, 'f', min(1, len(u)-3), 64) + u
		}
		r /= 1000
	}
	return ""
}
