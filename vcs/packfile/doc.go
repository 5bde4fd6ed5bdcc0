// Package packfile writes Git packs and bundles from any vcs.ObjectReader.
//
// Select decides which objects a receiver lacks; it compares each commit's tree
// with its parents' along the paths that changed, so that its cost follows the
// history's changes and not the size of the table. It remembers, for every tree
// and blob, the previous version at the same path, and Write stores the
// difference to that: no search for delta bases. Contents are read one at a time
// while the pack is written.
//
// The bytes depend only on the objects and the selection.
package packfile
