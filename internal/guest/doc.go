// Package guest does what the first process of a Linux virtual machine must do,
// so that a server can be that process: it mounts the kernel's file systems,
// checks that its own binary arrived whole, talks to the host over the control
// port, finds the network card and keeps the kernel silent on it, mounts and
// grows the data disk, reaps orphans, turns the power button, signals and the
// host's wish into one cancelled context, and in the end syncs, unmounts and
// powers off, in this order and whatever happened before.
//
// The server is a function that Run calls with an Env. Everything a person must
// know goes to the console as a line that starts with "arpeggio:"; the line
// "arpeggio: ready" is the sign that the machine serves.
//
// The data disk is never formatted and a foreign or damaged one is not written
// to: an ext4 file system counts as ours when its superblock carries our label
// and UUID, and after that is mounted, when the file ARPEGGIO in its root names
// a format that this program knows.
package guest
