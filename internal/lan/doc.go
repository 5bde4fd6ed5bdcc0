// Package lan is the neighbourhood that a VM is plugged into by default: a
// software switch, a gateway made of our own stack that publishes ports and
// hands out addresses, and a handful of stations that live a seeded life. All
// of it runs without privileges inside the launcher's process.
package lan
