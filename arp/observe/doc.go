// Package observe watches a network without taking part in it: it reads frames
// of ARP, RARP and IPv6 neighbour discovery and says what happened to the
// addresses, in the vocabulary that arpwatch began and that engineers expect.
//
// Parse turns a frame into a Sighting: who says that it holds which address, or
// why the frame cannot be read. Engine turns Sightings into Records: what to
// write into a history, what to print, and to which episode it belongs. Holder
// keeps back the lines that an episode may yet explain.
//
// The Engine is pure. It has no clock, lock, goroutine, socket or file, and it
// sends nothing. Its Records are a function of its Config, of the interfaces,
// and of the frames with their timestamps: not of batching, of the wall clock
// or of the order of a map. Time passes only with frames.
//
// Types lists the events with their meaning and their thresholds;
// docs/events.md says the same at greater length.
//
// # Memory
//
// Every table has a cap (Config). Nobody can age out what the engine knows
// about others by making noise:
//
//   - A binding that was seen again at least Config.ConfirmAfter after it was
//     first seen is confirmed and is never evicted. One that is not confirmed
//     makes room, oldest first, when Config.MaxEntries is reached. If all are
//     confirmed then a new one is counted and not kept.
//   - One MAC address takes at most Config.MaxPerMAC entries.
//   - Windows that count the targets of a scan or the addresses of a proxy come
//     from a pool. A full pool gives up idle windows, then those that have
//     counted least, and never one that has counted more than the newcomer may.
//   - Episodes that are under way are never given up for new ones; what is
//     beyond Config.MaxEpisodes is told once, as a sum.
package observe
