// Package site serves arpeggio's web pages: a static site out of any fs.FS, and
// the live page of the management address.
//
// New makes the static-site handler. It streams, so a file of any size costs
// one small buffer; its entity tags are Git blob ids of the very bytes it sends,
// so `git hash-object FILE` predicts them; and it answers only for names that
// could be a file of the site: no dotfiles, no listings, no way out of the root.
//
// NewLive makes the management pages: the neighbour table, the newest commits,
// counters, Prometheus metrics, a health check, and the repository itself under
// /arp.git/. It is fed by plain snapshot functions and knows neither the stack
// nor the store. Everything it shows came from a wire and is treated as hostile.
package site
