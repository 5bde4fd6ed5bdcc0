// Package gitremote joins a store to the Git repositories of others: it writes
// and updates bare Git directories, reads them as a vcs backend, takes in
// bundles, mirrors remotes over http, https, ssh and file, and exchanges
// branches with them. It is the only package that uses go-git.
//
// # Remotes
//
// Fetch mirrors a remote into a directory. FetchInto, Push and Pull work on any
// store, whatever its backend. Go-git carries the sessions; what they carry is
// this module's: packs hold only what the other side lacks, those that arrive
// are checked as a whole before a ref moves, and every push is a
// compare-and-swap whose outcome is told ref by ref, in git's words.
//
// RemoteArchive keeps the ended epochs of a store on a remote.
//
// NewStorer goes the other way: to go-git's own programs a live store is a
// repository like any other.
//
// # Directories
//
// A directory written here is an ordinary bare repository: packs with their
// indexes, packed-refs, HEAD, config and description. Objects are on the disk,
// synced, before any ref names them, and all refs move together by one rename of
// packed-refs, so that a crash at any point leaves either the old or the new
// state and at worst a temporary file, which the next writer removes. Writers
// exclude each other by a lock on the directory; readers need none.
//
// A snapshot, a mirror and an imported bundle have a commit-graph with
// changed-path filters, written anew when a fifth of the commits are not in it:
// stock git and this package find the commits that changed a path with it.
//
// Nothing here overwrites what it does not know: a directory that is neither
// empty nor a bare Git repository is refused, and so is one whose refs would
// lose history that the source does not have.
package gitremote
