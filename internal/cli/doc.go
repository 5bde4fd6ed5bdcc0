// Package cli is what the commands that print have in common: colour only where
// somebody sees it, a pager like git's, lines of JSON for programs, aligned
// columns and the lines of a commit graph.
//
// Text that comes out of a repository may have been written by anybody, so it
// passes through Clean before it reaches a terminal.
package cli
