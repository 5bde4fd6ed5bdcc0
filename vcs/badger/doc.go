// Package badger is the vcs backend on a file system: objects, refs and log in
// a badger LSM tree, set up for small machines and for power cuts.
//
// One Apply is one synced transaction. What does not fit into one (badger's
// limit is 15 % of a memtable) is written ahead in transactions of its own:
// objects that nothing refers to yet, log and checkpoint chunks beyond the end
// that the last transaction sets. So a cut leaves either all of a batch or
// nothing that shows.
//
// Commits are kept as records of a log (see vcs.LogKeeper); objects are those
// that came from elsewhere, and all of a directory from before that, which goes
// on with a log.
//
// Open verifies what it hands out: the checksums of every table, log and segment
// of history; by their hashes the whole tree of each head, and the commits that
// came since the store was closed, or opened, without damage. What a clean close
// leaves for that, heads and a state (see vcs.StateKeeper), is believed only as far
// as hashes bear it out, and not at all where any checksum is wrong: then, as with
// Config.VerifyAll, all commits are hashed again. So does vcs.Verify at any time.
//
// Open reads every table and log through before badger does, because badger
// meets damage in goroutines of its own, where it ends the process. What a crash
// leaves is put in order. Damaged files are set aside in a folder of the
// directory, damaged-1 and so on, with a README; the store goes on with what can
// be read of them, and Report and the log say what is missing.
//
// A single bit that has flipped in a block of a table, or in an entry of a log of
// writes, costs nothing: the checksum tells which one it was, and it is set right.
// What is damaged otherwise is a block of a table, about 4 KiB or one record, and
// a log of writes ends where the damage begins: the store is then as it was at an
// earlier time, and the report says so. Such damage can only pass for a crash
// where it hit the newest write, or where whole sectors of it are empty; a note in
// the report says that something was cut off.
//
// All values stay in the LSM tree: a damaged value log opens without an error
// and with values missing. Objects are stored as they are, uncompressed, and
// hashed on every read.
//
// An I/O error of a write, a sync or an open comes out of the call that needed
// it, and nothing that was acknowledged is lost. Where badger ends the process
// instead, when it cannot open its file DISCARD or list the directory, Open does
// so first and returns the error; only one that strikes in between still ends it.
// What goes bad on the disk while the directory is open is met by badger itself: a
// reader gets ErrDamaged, but a compaction that is led astray by it ends the
// process, and the next Open sets it right or aside.
// A flush that fails is tried again until it works.
//
// Records that a batch drops are deleted right after it, and their room comes
// back with the compactions that follow the next 8 MiB of writes. A log of L
// bytes of which D are dropped at a time takes at most L + D + 24 MiB at rest
// and, while a compaction copies it, 2 (L + D) + 56 MiB. With L = 48 MiB and
// D = 12 MiB, written as fast as it goes, 63 and 142 MB were measured.
//
// Writes stop with ErrNoSpace before the disk is full, because badger writes
// through memory maps, and a block that cannot be had ends the process. What
// else writes to the same disk must leave Config.MinFree alone, too: a stranger
// who takes the last bytes within the seconds of a compaction can end the process
// all the same. A directory on a full disk opens, for reading, and takes writes
// again when there is room.
package badger
