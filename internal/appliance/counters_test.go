package appliance

import "testing"

func TestSplitWords(t *testing.T) {
	for name, want := range map[string]string{
		"IPBadChecksum": "IP bad checksum", "TCPIn": "TCP in", "ICMPOut": "ICMP out", "UDPNoPort": "UDP no port",
		"PendingDropped": "pending dropped", "AddrConflicts": "addr conflicts", "Commits": "commits",
		"TCPActiveOpens": "TCP active opens", "IPIn": "IP in", "ReasmOKs": "reasm OKs", "OutFragOKsSeen": "out frag OKs seen", "IP": "IP",
	} {
		if got := splitWords(name); got != want {
			t.Errorf("splitWords(%q) = %q, want %q", name, got, want)
		}
	}
}
