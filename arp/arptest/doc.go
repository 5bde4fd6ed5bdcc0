// Package arptest holds conformance suites: TestTable for any arp.Table, and
// TestResolver for anything that resolves IPv4 addresses by ARP, whether or
// not it is package arp that does it. A resolver is judged by the frames that
// it sends and by what Resolve says, in virtual time.
//
// The resolver suite holds the counterparts of the test lists of two earlier
// implementations, irmin-arp and mirage/arp, each under the policy that its
// list assumes, and a test for each defect that was found in them.
package arptest
