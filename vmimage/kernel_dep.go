//go:build tools

package vmimage

// The kernel is a pinned Go module without Go code; this import, which no build
// includes, keeps it in go.mod.
import _ "github.com/gokrazy/kernel.amd64"
