package badger

import (
	"bytes"
	"testing"
)

func TestTrimZeros(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 3 * 4096} {
		for _, head := range []string{"", "x", "\x00x"} {
			if got := trimZeros(append([]byte(head), make([]byte, n)...)); string(got) != head {
				t.Errorf("%q and %d zeros: %d octets are left", head, n, len(got))
			}
		}
		one := append(make([]byte, n), 'x')
		if got := trimZeros(one); !bytes.Equal(got, one) {
			t.Errorf("%d octets of %d are left before the last", len(got), len(one))
		}
	}
}
