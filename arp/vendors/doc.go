// Package vendors names who made a network card, by the first octets of its MAC
// address: the assignments of the IEEE (MA-L, MA-M, MA-S and the former IAB, 24,
// 28 and 36 bits), and the ranges that are not in its registry or say more than
// its entry there: virtual machines, containers, the virtual addresses of
// redundant routers, groups.
//
// The registry is embedded, compressed, and taken apart at the first question.
// It is public data of the IEEE Registration Authority; Table.Source names the
// issue. `make vendors OUI=DIR` renews it from the text files that the IEEE
// publishes and that Debian's package ieee-data holds: oui.txt, mam.txt,
// oui36.txt and iab.txt.
package vendors
