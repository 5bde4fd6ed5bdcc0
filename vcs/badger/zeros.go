package badger

import "bytes"

// zeros is what is compared at a time.
var zeros [4096]byte

// trimZeros returns b without the zeros at its end: badger makes its files larger
// than what is in them, by megabytes.
func trimZeros(b []byte) []byte {
	for len(b) >= len(zeros) && bytes.Equal(b[len(b)-len(zeros):], zeros[:]) {
		b = b[:len(b)-len(zeros)]
	}
	return bytes.TrimRight(b, "\x00")
}
