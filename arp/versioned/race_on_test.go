//go:build race

package versioned

// raceOn says that the race detector is on, with which everything takes five to
// ten times as long: then some tests do less of the same.
const raceOn = true
