// Package vcstest tests implementations of vcs.Backend and merge functions, by
// anybody's hand: TestBackend and TestReopen are the contract of a backend as a
// test suite, Crash is what one that has files must make of crashes and of bad
// disks, TestMerge and TestEvery are the laws under which nodes that merge each
// other converge, by random histories and by all short ones, Faulty is a backend
// that fails where a test says, and Export leaves a store as a Git directory
// that stock git has checked.
package vcstest
