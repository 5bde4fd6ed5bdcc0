package capture_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"arpeggio/stack/capture"
)

func TestRing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t.pcapng")
	os.WriteFile(filepath.Join(dir, "t.x.pcapng"), []byte("not of the ring"), 0o600)
	next := byte(0)
	run := func(packets int) {
		ring, err := capture.OpenRing(path, capture.MinRing)
		if err != nil {
			t.Fatal(err)
		}
		w, err := capture.NewWriter(nil, capture.WriterConfig{Next: ring.Next, Piece: ring.Piece()})
		if err != nil {
			t.Fatal(err)
		}
		w.AddInterface(capture.Interface{Name: "a"})
		w.AddInterface(capture.Interface{Name: "b"})
		for range packets {
			data := make([]byte, 1400)
			data[0] = next
			next++
			if err := w.WritePacket(capture.Packet{Time: when, Interface: 1, Data: data, Comment: "in a ring"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := ring.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// check reads all files and returns how many packets they hold.
	check := func() (packets int) {
		files, _ := filepath.Glob(filepath.Join(dir, "t.0*.pcapng"))
		var total int64
		last := -1
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			total += int64(len(b))
			all, r := readAll(t, b)
			if is := r.Interfaces(); len(is) != 2 || is[1].Name != "b" || r.Stats().Truncated || r.Stats().Malformed > 0 {
				t.Errorf("%s: %+v %+v", f, is, r.Stats())
			}
			for _, p := range all {
				if p.Interface != 1 || p.Comment != "in a ring" || last >= 0 && byte(last+1) != p.Data[0] {
					t.Fatalf("%s: packet %d follows %d, %+v", f, p.Data[0], last, p)
				}
				last = int(p.Data[0])
			}
			packets += len(all)
			if tool, err := exec.LookPath("tcpdump"); err == nil {
				out, err := exec.Command(tool, "-nr", f).Output()
				if err != nil || bytes.Count(out, []byte("\n")) < len(all) {
					t.Errorf("tcpdump -r %s: %v, %d lines", f, err, bytes.Count(out, []byte("\n")))
				}
			}
		}
		if total > capture.MinRing {
			t.Errorf("%d octets in %d files", total, len(files))
		}
		if last >= 0 && byte(last+1) != next {
			t.Errorf("the last packet is %d, %d were written", last, next)
		}
		return packets
	}
	run(100)
	if n := check(); n != 100 {
		t.Errorf("%d packets of 100", n)
	}
	run(100) // goes on
	if n := check(); n != 200 {
		t.Errorf("%d packets of 200", n)
	}
	run(3000)
	if n := check(); n < 500 || n > 749 {
		t.Errorf("%d packets of 1400 octets in a ring of a MiB", n)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "t.x.pcapng")); err != nil || string(b) != "not of the ring" {
		t.Errorf("another file: %q, %v", b, err)
	}
	if _, err := capture.OpenRing(path, capture.MinRing-1); err == nil {
		t.Error("a ring without room is made")
	}
	if _, err := capture.OpenRing(filepath.Join(dir, "none", "t.pcapng"), capture.MinRing); err == nil {
		t.Error("a ring in a folder that does not exist")
	}
}
