//go:build !race

package vcstest_test

const raced = false
