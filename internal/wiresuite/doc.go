// Package wiresuite judges an IPv4 host from the wire. Its tests start the
// built arpeggio in a network namespace, play every other station of its LAN
// with frames made by hand, and compare what comes back with the texts of the
// RFCs: ARP, IP, ICMP, IGMP, UDP and each state of TCP.
//
// The suite knows nothing of our stack: it imports none of it and has a codec
// of its own, so that an error made twice alike there cannot hide here. It uses
// the small services of `arpeggio serve --inetd` only (echo, discard, daytime,
// chargen, and the command dial), which is why the same cases also judge the
// Linux kernel behind a few sockets: a case that the kernel fails is suspect
// itself, and the exceptions are named.
//
// Each case is a function on a station of its own, so most of them run at the
// same time. Nothing is judged by a sleep: that something does not come is
// known when the answer to a later ping is there, and bounds in time are
// measured at the device and, where an upper bound is the question, tried again.
//
// WIRESUITE selects cases by a regular expression and logs their frames,
// SOAK=1 adds those that take minutes and the run against the kernel.
package wiresuite
