package appliance

import "testing"

func TestSplitWords(t *testing.T) {
	for name, want := range map[string]string{
		"IPBadChecksum": "IP bad checksum", "TCPIn": "TCP in", "ICMPOut": "ICMP out", "UDPNoPort": "UDP no port",
		"PendingDropped": "Pending dropped", "AddrConflicts": "Addr conflicts", "Commits": "Commits",
		"TCPActiveOpens": "TCP active opens", "IPIn": "IP in",
	} {
		if got := splitWords(name); got != want {
			t.Errorf("splitWords(%q) = %q, want %q", name, got, want)
		}
	}
}
