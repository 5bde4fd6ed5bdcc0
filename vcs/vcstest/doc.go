// Package vcstest tests implementations of vcs.Backend and merge functions, by
// anybody's hand: TestBackend is the contract of a backend as a test suite, Crash
// what a backend with files must make of crashes and bad disks, TestMerge and TestEvery the laws under which nodes that merge each other
// converge, by random histories and by all short ones, Faulty a backend that
// fails where a test says, and Export leaves a store as a Git directory that
// stock git has checked.
package vcstest
