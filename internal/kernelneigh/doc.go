// Package kernelneigh is a resolver for package stack that does no ARP of its
// own: it asks the neighbour table of the Linux kernel, and has the kernel ask
// the network. A stack that shares a card with the kernel runs on it as well as
// on package arp, which is what it is for: to show that the seam is one.
//
// It exists on Linux only.
package kernelneigh
