package tuntap_test

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/internal/testproc"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// patience is how long a test waits, on a busy machine, for what must come.
const patience = time.Minute

// A QEMU without a machine joins two wires by a hub of its own, so that each
// frame passes its framing code in both directions. What is under way at a time
// stays below 32 KiB: with its socket full, QEMU 7.2 lets frames overtake each
// other, and it aborts (iov_copy: Assertion `offset == 0') when the kernel takes
// a part of one.
func TestWireThroughQEMU(t *testing.T) {
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("needs qemu-system-x86_64")
	}
	dir := t.TempDir()
	args := []string{"-M", "none", "-display", "none", "-nodefaults", "-no-user-config"}
	var ls []*net.UnixListener
	for _, id := range []string{"a", "b"} {
		path := filepath.Join(dir, id)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ls = append(ls, l)
		args = append(args, "-netdev", "stream,id="+id+",server=off,addr.type=unix,addr.path="+path,
			"-netdev", "hubport,id=hub"+id+",hubid=0,netdev="+id)
	}
	var said bytes.Buffer
	cmd := exec.Command(qemu, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := testproc.Start(cmd); err != nil {
		t.Skipf("cannot run QEMU: %v", err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	defer func() { cmd.Process.Kill(); <-exited }()

	var wires []*tuntap.StreamWire
	for _, l := range ls {
		l.SetDeadline(time.Now().Add(patience))
		conn, err := l.Accept()
		if err != nil {
			cmd.Process.Kill()
			<-exited
			if bytes.Contains(said.Bytes(), []byte("stream")) {
				t.Skipf("this QEMU has no stream backend: %s", said.Bytes())
			}
			t.Fatalf("QEMU did not connect: %v: %s", err, said.Bytes())
		}
		w := tuntap.NewStreamWire(conn, link.Info{Name: l.Addr().String(), MTU: 65000})
		defer w.Close()
		wires = append(wires, w)
	}
	for _, way := range [][2]*tuntap.StreamWire{{wires[0], wires[1]}, {wires[1], wires[0]}} {
		var sent []link.Frame
		for i, n := range []int{60, 1514, 14, 9014, 4000} {
			sent = append(sent, link.Frame{Head: bytes.Repeat([]byte{byte(i + 1)}, 14), Payload: [][]byte{bytes.Repeat([]byte{byte(i)}, n-14)}})
		}
		warmUp(t, way[0], way[1])
		for range 20 {
			if n, err := way[0].WriteFrames(sent); n != len(sent) || err != nil {
				t.Fatal(n, err)
			}
			got := atLeast(t, way[1], len(sent))
			for i, b := range got {
				if want := sent[i%len(sent)].AppendTo(nil); !bytes.Equal(b, want) {
					t.Fatalf("frame %d came with %d octets, want %d", i, len(b), len(want))
				}
			}
			if len(got) != len(sent) {
				t.Fatalf("%d frames came through, want %d", len(got), len(sent))
			}
		}
	}
}

// atLeast reads until n frames have come.
func atLeast(t *testing.T, w link.Device, n int) (got [][]byte) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(got) < n && time.Now().Before(deadline); {
		for _, b := range all(t, w) {
			if !bytes.Equal(b, probe) {
				got = append(got, b)
			}
		}
		if len(got) < n {
			if err := w.Wait(deadline); err != nil {
				t.Fatal(err)
			}
		}
	}
	return got
}

var probe = bytes.Repeat([]byte{0xff}, 60)

// warmUp returns when a frame comes through: QEMU drops what arrives before
// both its sockets are ready.
func warmUp(t *testing.T, from, to link.Device) {
	t.Helper()
	for range 1000 {
		if n, err := from.WriteFrames([]link.Frame{{Head: probe}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if err := to.Wait(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if len(all(t, to)) > 0 {
			return
		}
	}
	t.Fatal("QEMU passes nothing on")
}
