// Package history answers questions about a repository of package vcs for
// people: which commit a revision or a time names, which commits concern a path
// or an address, who wrote a line, which commit broke something.
//
// Where stock git has the same question, the answer is the same. An address
// stands for its file in every broadcast domain and VLAN of a repository that
// package arp/versioned writes.
//
// Everything reads an open vcs.Store and keeps nothing.
package history
