// Package stack is an IPv4 host in user space: interfaces on link.Devices,
// routes, ICMP, UDP and TCP, with the faces of package net on top. It knows
// nothing of ARP; an Interface is handed a Resolver.
//
// A Stack is a thin shell around pure engines (packages ipv4, icmp, udp and
// tcp). Each device has one goroutine, its run loop: read a batch of frames,
// run the protocols to completion, write what they emitted, run timers, wait
// in Device.Wait until the next deadline. There is no goroutine for a packet
// and none for a connection. A call such as Conn.Write runs the engine itself
// and writes to the device from the caller's goroutine.
//
// One mutex guards all protocol state. It is held for the time the engines
// take and never while a device, a resolver or a callback runs: what is to be
// sent is queued under the lock and leaves after it is released (see flush).
package stack
