package site

import (
	"embed"
	"io/fs"
)

//go:embed www
var www embed.FS

// Default returns the embedded site: what arpeggio is, how a page of it reaches
// the reader, and how to clone what the machine learned about its network. It
// needs nothing from outside.
func Default() fs.FS {
	sub, err := fs.Sub(www, "www")
	if err != nil {
		panic(err) // "www" is a valid path
	}
	return sub
}
