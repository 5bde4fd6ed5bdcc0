package site

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// privateSuffixes are domains under which nobody on the Internet can own a name
// (RFC 6762, RFC 6761, RFC 8375, ICANN's .internal) or, for .lan, does.
var privateSuffixes = []string{".localhost", ".local", ".lan", ".internal", ".home.arpa", ".test"}

// hostAllowed reports whether a Host field names this server and not a name that
// its owner could point anywhere, as DNS rebinding does.
func hostAllowed(host string, more []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || !strings.Contains(host, ".") && !strings.Contains(host, ":") {
		return !strings.ContainsAny(host, "/\\@ ")
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	for _, s := range privateSuffixes {
		if strings.HasSuffix(host, s) {
			return true
		}
	}
	return slices.ContainsFunc(more, func(m string) bool { return strings.EqualFold(m, host) })
}
