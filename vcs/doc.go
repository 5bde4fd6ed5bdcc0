// Package vcs is a mergeable, versioned key-value store whose every state is
// real Git: commits, trees and blobs with the ids that stock git computes, so
// that `git clone`, `git log -- KEY`, `git blame` and `git fsck --strict` work on
// it.
//
// A Repo maps keys to values of any type: a Layout says where a key lies in the
// tree, a Codec how a value is written, a MergeFunc what becomes of a key that
// two branches changed. Below it a Store keeps refs and objects over a Backend,
// and offers them raw to servers.
//
// # Costs
//
// Trees are rebuilt along the changed paths only, and subtrees with equal ids
// are never looked into. So the cost of a commit, a diff or a merge follows what
// changed and the depth of the layout, not the size of the map, as long as the
// layout keeps folders small.
//
// # The log
//
// Over a backend that wants it (LogKeeper), a Store keeps a commit as a record
// of what it changed, and makes its objects again when somebody reads them: with
// equal ids, or ErrCorrupt. A record holds the id of the commit's tree, 20 bytes;
// everything else, for commits and values that are made alike, takes about ten:
// texts are written as programs over the older value, the key, the time and each
// other, which a segment of 64 KiB holds once. The heads' trees and values stay
// in memory; what lies behind them is made from there, or from the start, by
// going through the records in between without hashing. Commits alone, their
// ancestry and the log of a key need no trees at all.
//
// Commits are made at a work tree, the state of a branch's head in which a commit
// patches the folders on the changed paths and hashes those. The store holds the
// work trees of some heads, and notes of what the unsaved commits changed; trees
// in between are made when somebody reads them. A Queue puts a buffer in front of
// a branch for callers who cannot wait even for that.
//
// # Durability
//
// Writes are visible when they return and durable after the next Sync, or about
// 10 ms later by themselves. They become durable in order, many in one group
// commit.
//
// # Concurrency
//
// Everything is safe for concurrent use by many writers. Commits are built
// outside of any lock; only moving a ref is serialised, by compare-and-swap.
package vcs
