//go:build !race

package versioned

const raceOn = false
