package link

import (
	"bytes"
	"testing"
)

func TestFrameFlattens(t *testing.T) {
	f := Frame{Head: []byte("head"), Payload: [][]byte{[]byte("er"), nil, []byte(" and body")}}
	if want := "header and body"; f.Len() != len(want) || string(f.AppendTo(nil)) != want {
		t.Errorf("Len %d, AppendTo %q", f.Len(), f.AppendTo(nil))
	}
}

// A pool of frames reuses its storage, so Reset must keep it and drop the rest.
func TestFrameResetKeepsStorage(t *testing.T) {
	f := Frame{
		Head: make([]byte, 10, 2048), Payload: make([][]byte, 1, 4),
		Csum: Csum{State: CsumPartial, Start: 34, Offset: 16}, GSO: GSO{Type: GSOTCP4, Size: 1448},
	}
	f.Reset()
	if f.Len() != 0 || cap(f.Head) != 2048 || cap(f.Payload) != 4 || f.Csum != (Csum{}) || f.GSO != (GSO{}) {
		t.Errorf("after Reset: %+v", f)
	}
	if !bytes.Equal(f.AppendTo([]byte("x")), []byte("x")) {
		t.Error("an empty frame appends octets")
	}
}

func TestCapsHas(t *testing.T) {
	c := CapTxChecksum | CapTSO4
	if !c.Has(CapTSO4) || !c.Has(CapTxChecksum|CapTSO4) || c.Has(CapTSO4|CapTSO6) || !c.Has(0) {
		t.Errorf("Has is wrong for %b", c)
	}
}
