// Package versioned is an arp.Table that is a branch of a vcs repository: each
// binding that is learned, moved, lost or disputed becomes a Git commit that
// names its cause and carries the frame it rests on.
//
// The Table answers from memory and takes changes without waiting: they go
// into a ring, and writers turn them into commits. Learning, each query, each
// expiry and each order of an operator is a writer of its own with a branch of
// its own, opened from the head of primary at the moment the work began.
// Primary advances to such a branch when nobody came between, and by a
// three-way merge when somebody did. Values form a join-semilattice under
// Join, so that no order of merges loses the newest observation.
//
// What comes into primary from elsewhere (a push, a merge, a revert) is taken
// over into the Table and handed to its watchers.
package versioned
