//go:build !race

package arp

// million is how many frames the three runs of the flood have together.
const million = 1_000_000
