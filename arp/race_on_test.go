//go:build race

package arp

// million is how many frames a flood has; with the race detector, which is ten
// times slower, a part of a million is enough.
const million = 250_000
