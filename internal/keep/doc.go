// Package keep turns what a person says about how much history to keep, in
// octets, commits and time, and where to put the rest, into a store's
// retention.
package keep
