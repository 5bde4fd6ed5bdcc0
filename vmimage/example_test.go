package vmimage_test

import (
	"fmt"
	"io"
	"io/fs"
	"testing/fstest"

	"arpeggio/vmimage"
)

// The binary is checked before anything is written: one that cannot run in the
// guest is refused with what to do about it.
func ExampleInitramfs() {
	site := fstest.MapFS{"index.html": {Data: []byte("hello")}}
	_, err := vmimage.Initramfs(io.Discard, vmimage.InitramfsConfig{
		Init:  "build/arpeggio",
		Trees: map[string]fs.FS{"site": site},
	})
	fmt.Println(err)
	// Output:
	// vmimage: binary build/arpeggio does not exist; build it with CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build
}
