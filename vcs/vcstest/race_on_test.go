//go:build race

package vcstest_test

// raced: the race detector makes every step about ten times as slow, and these
// tests have one goroutine, so some do less.
const raced = true
