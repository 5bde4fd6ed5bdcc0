package sockstat

import (
	"fmt"
	"strings"
	"time"
)

// details returns what ss -i says of a connection: its words, in its order and its
// units. What is on its way, and the windows of congestion control, are in segments
// there, what is not sent yet in octets. What only we know stands at the end.
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
	mss := max(t.MSS, 1)
	segments := func(octets int) uint64 { return uint64((octets + mss - 1) / mss) }
	flag(t.Timestamps, "ts")
	flag(t.SACK, "sack")
	flag(t.ECN, "ecn")
	flag(t.FastOpen, "fastopen")
	add("%s", t.Congestion)
	flag(t.SndScale|t.RcvScale != 0, fmt.Sprintf("wscale:%d,%d", t.SndScale, t.RcvScale))
	add("rto:%s", ms(t.RTO))
	count("backoff", uint64(t.Backoff))
	if t.SRTT > 0 {
		add("rtt:%s/%s", ms(t.SRTT), ms(t.RTTVar))
	}
	add("ato:%s", ms(t.ATO))
	count("qack", uint64(t.QuickAcks))
	add("mss:%d pmtu:%d", t.MSS, t.PathMTU)
	count("rcvmss", uint64(t.RcvMSS))
	add("advmss:%d", t.AdvMSS)
	add("cwnd:%d", max(1, t.Cwnd/mss))
	if t.Ssthresh > 0 {
		add("ssthresh:%d", max(1, t.Ssthresh/mss))
	}
	count("bytes_sent", t.BytesSent)
	count("bytes_retrans", t.BytesAgain)
	count("bytes_acked", t.BytesAcked)
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
	count("delivered", uint64(t.Arrived))
	t.busy(add)
	count("unacked", segments(t.Flight))
	if t.Retransmits > 0 || t.Resent > 0 {
		add("retrans:%d/%d", segments(t.Resent), t.Retransmits)
	}
	count("lost", segments(t.Lost+t.Resent))
	count("sacked", segments(t.Sacked))
	if n := segments(t.Overtaken); n > 3 { // as many are expected in any case
		add("reordering:%d", n)
	}
	count("reord_seen", uint64(t.Reordered))
	count("notsent", uint64(t.Unsent))
	if t.MinRTT > 0 {
		add("minrtt:%s", ms(t.MinRTT))
	}
	add("snd_wnd:%d rcv_wnd:%d", t.SndWnd, t.RcvWnd)
	flag(t.Phase != "open", "ca_state:"+t.Phase)
	count("bytes_delivered", t.Delivered)
	count("ecn_reduced", t.Marks)
	count("ooo_spans", uint64(t.Holes))
	add("snd_buf:%d rcv_buf:%d", t.SndBuf, t.RcvBuf)
	return b.String()[1:]
}

// busy says how long there was something to send, and what kept it back.
func (t *TCP) busy(add func(format string, args ...any)) {
	if t.Busy <= 0 {
		return
	}
	add("busy:%dms", t.Busy.Milliseconds())
	for _, l := range []struct {
		word string
		d    time.Duration
	}{{"rwnd_limited", t.WindowLimited}, {"sndbuf_limited", t.BufferLimited}} {
		if l.d > 0 {
			add("%s:%dms(%.1f%%)", l.word, l.d.Milliseconds(), 100*l.d.Seconds()/t.Busy.Seconds())
		}
	}
}
