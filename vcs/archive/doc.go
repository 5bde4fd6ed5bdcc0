// Package archive keeps the ended epochs of a store in a directory.
//
// # Formats
//
// In the format Pack the directory is an ordinary bare Git repository that stock
// git reads as it is: a pack for each epoch, refs/epochs/<n> at the head branch's
// last commit of the epoch, the epoch's other branches and tags under
// refs/epochs-heads/<n>/, and refs/replace/<root> wherever an epoch and the one
// before are both there, so that `git log refs/epochs/3` goes through all of
// them. HEAD's branch is the newest. A commit-graph with changed-path filters
// speeds up `git log -- PATH`; git uses it only where no commit is replaced, so
// ask with `git --no-replace-objects` when one epoch will do.
//
// In the format Bundle each epoch is a file that `git clone` and `git fetch` take,
// with its commit-graph beside it.
//
// In both, an epoch stands on its own: its archive holds everything that its
// commits lead to, and removing the archive of another one takes nothing from it.
// A text file epoch-<n>.info names what belongs to the epoch; while it is there,
// the epoch is.
//
// # Durability
//
// Archive returns when all is synced and was read back: every object inflated,
// its deltas applied, and hashed. Files get their names when they are complete.
// After a crash the next Archive removes what is half done, in an order in which
// stock git, reading meanwhile, never meets a ref, a replacement or a
// commit-graph that leads to something that is not there.
//
// # Room
//
// A budget in bytes, and free space that is to be left, are kept by removing the
// oldest archives, whole, before and while a new one is written.
package archive
