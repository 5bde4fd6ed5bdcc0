// Package arp resolves IPv4 addresses to Ethernet addresses (RFC 826) as a
// careful neighbour of 2026 does it: with the reachability states of RFC 4861,
// the address conflict detection of RFC 5227, the rate limits of RFC 1122, and
// a stated policy for whom to believe.
//
// Engine is the protocol: pure, without clock, lock, goroutine or socket. Time
// comes in with every call, what must happen comes out as Actions. Service is
// the shell around an Engine that a network stack uses as its resolver.
//
// What the engine learns, moves, loses or disputes goes to a Table as Changes
// that carry the frame they rest on. How sure the engine is of a neighbour at
// this moment (reachable, stale, being probed) never reaches the Table, and a
// plain refresh is not a change.
package arp
