// Package packfile writes and reads Git packs: from any vcs.ObjectReader, and
// from anyone at all.
//
// # Writing
//
// Select decides which objects a receiver lacks. A reader that remembers what
// each commit changed (vcs.AdditionReader) is asked; of any other one each
// commit's tree is compared with its parents' along the paths that changed. So
// the cost follows the history's changes and not the size of the table. Either
// way the previous version at the same path is known for every tree and blob,
// and Write stores the difference to that: no search for delta bases. Contents
// are made or read one at a time while the pack is written. The bytes depend only
// on the objects and the selection.
//
// To write a pack of the history of some refs, to a server's client, a bundle or
// an archive, this is all there is to it:
//
//	set, err := packfile.Select(ctx, store, packfile.Selection{Wants: tips})
//	…
//	sum, err := set.Write(w, packfile.Options{})
//
// With a store whose backend keeps a log this takes memory for one state of the
// table and a few bytes a change, however long the history is.
//
// # Reading
//
// Index takes in a pack from a stream, as git index-pack does, thin ones too,
// and believes nothing of it: Limits bound its length, its objects, what they
// inflate to, the chains of deltas and the work to apply them. Contents are made
// from the deltas when they are needed; what is held at a time is the pack (in a
// file, if the caller lends one), about 70 bytes for each object and a cache.
// Objects are named by SHA-1 with collision detection.
//
// Check then looks at the objects as git index-pack --strict does and finds out
// which of them lack something that they lead to. Until the caller stores what
// New yields, nothing of a pack is anywhere but in it. ImportBundle does all of
// this for a bundle.
package packfile
