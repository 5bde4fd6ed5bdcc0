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

// details returns what ss -i says of a connection, in its words where it has
// one; the window is in segments there, and here too.
func (t *TCP) details() string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	flag := func(on bool, word string) {
		if on {
			add("%s", word)
		}
	}
	count := func(word string, n uint64) {
		if n > 0 {
			add("%s:%d", word, n)
		}
	}
	flag(t.Timestamps, "ts")
	flag(t.SACK, "sack")
	flag(t.ECN, "ecn")
	add("%s", t.Congestion)
	flag(t.SndScale|t.RcvScale != 0, fmt.Sprintf("wscale:%d,%d", t.SndScale, t.RcvScale))
	add("rto:%s", ms(t.RTO))
	count("backoff", uint64(t.Backoff))
	if t.SRTT > 0 {
		add("rtt:%s/%s", ms(t.SRTT), ms(t.RTTVar))
	}
	add("ato:%s mss:%d pmtu:%d rcvmss:%d advmss:%d", ms(t.ATO), t.MSS, t.PathMTU, t.RcvMSS, t.AdvMSS)
	add("cwnd:%d", max(1, t.Cwnd/max(t.MSS, 1)))
	if t.Ssthresh > 0 {
		add("ssthresh:%d", max(1, t.Ssthresh/max(t.MSS, 1)))
	}
	flag(t.Phase != "open", "ca_state:"+t.Phase)
	count("bytes_sent", t.BytesSent)
	count("bytes_retrans", t.BytesAgain)
	count("bytes_acked", t.BytesAcked)
	count("bytes_delivered", t.Delivered)
	count("bytes_received", t.BytesReceived)
	add("segs_out:%d segs_in:%d", t.SegsOut, t.SegsIn)
	count("data_segs_out", uint64(t.DataSegsOut))
	count("data_segs_in", uint64(t.DataSegsIn))
	if r := t.Rate(); r > 0 {
		add("send %s", bits(r))
	}
	for _, l := range []struct {
		word string
		at   Since
	}{{"lastsnd", t.LastSnd}, {"lastrcv", t.LastRcv}, {"lastack", t.LastAck}} {
		if l.at != nil {
			add("%s:%d", l.word, l.at.Milliseconds())
		}
	}
	switch {
	case t.MaxPacingRate > 0:
		add("pacing_rate %s/%s", bits(8*float64(t.PacingRate)), bits(8*float64(t.MaxPacingRate)))
	case t.PacingRate > 0:
		add("pacing_rate %s", bits(8*float64(t.PacingRate)))
	}
	count("unacked", uint64(t.Flight))
	count("sacked", uint64(t.Sacked))
	count("lost", uint64(t.Lost))
	count("notsent", uint64(t.Unsent))
	count("retrans", t.Retransmits)
	count("ecn_reduced", t.Marks)
	count("ooo_spans", uint64(t.Holes))
	flag(t.Reordering, "reordering")
	if t.MinRTT > 0 {
		add("minrtt:%s", ms(t.MinRTT))
	}
	add("snd_wnd:%d rcv_wnd:%d snd_buf:%d rcv_buf:%d", t.SndWnd, t.RcvWnd, t.SndBuf, t.RcvBuf)
	return b.String()[1:]
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
