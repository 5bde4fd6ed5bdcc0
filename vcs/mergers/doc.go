// Package mergers holds ready-made merge functions for vcs.Config.Merge, and
// what it takes to build others from them.
//
// # Values that converge
//
// Nodes that merge each other's branches reach equal trees, whatever they merge
// first and from whichever common ancestor, when values form a join-semilattice,
// merging is the join, and every write is later than what its writer saw. These
// do: Register (the last writer wins, removals included), Counter, Set, and what
// Join or Max makes of a value of your own, also inside Struct, Map and ByPath.
// Each is checked by vcstest.TestMerge and by vcstest.Exhaustive.
//
// A removal is a value of these types, not the absence of the key: a key that
// is absent on one side and present on the other is taken as "not heard of yet".
//
// # Functions that look at the base
//
// Option, Changed and Seq serve merges that follow Git's habit: what only one
// side changed is taken, and what both changed is settled or reported as a
// conflict. They are right for people's edits, but a history with criss-cross
// merges and removals can end differently on different nodes.
package mergers
