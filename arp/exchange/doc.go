// Package exchange reads and writes the tables of other tools: the kernel's
// neighbour table as `ip -j neigh` prints it, arpwatch's arp.dat, addrwatch's
// text (read only), /etc/ethers, and CSV.
//
// A reader yields rows in the order of the file, and for a line that it cannot
// use a *LineError, after which it goes on: whether one bad line spoils the file
// is the caller's to say. What a format cannot hold is left out when it is
// written; what it can hold comes back as it was, byte for byte, from a file in
// the form in which the tool itself writes it.
package exchange
