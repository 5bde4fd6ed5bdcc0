package guest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/control"
	"arpeggio/qemu"
	"arpeggio/vmimage"
)

// TestDataDiskSurvives boots one machine three times on one data disk: stopped
// by a message, killed, and stopped by the power button.
func TestDataDiskSurvives(t *testing.T) {
	img := buildImage(t)
	disk := filepath.Join(t.TempDir(), "data")
	if err := vmimage.CreateDisk(disk, 160<<20); err != nil {
		t.Fatal(err)
	}
	t.Run("a message", func(t *testing.T) { stopByMessage(t, img, disk) })
	t.Run("a kill", func(t *testing.T) {
		v := img.boot(t, img.params(), func(c *qemu.Config) { c.Disk.Path = disk })
		if r := v.waitReady(t); r.Data != "boot boot " {
			t.Errorf("data disk holds %q after the second boot", r.Data)
		}
		if err := v.Kill(); !errors.Is(err, qemu.ErrKilled) {
			t.Errorf("kill: %v", err)
		}
		if _, err := v.Ping(t.Context()); !errors.Is(err, control.ErrGuestGone) && err == nil {
			t.Error("a dead guest answers")
		}
	})
	t.Run("the power button", func(t *testing.T) {
		v := img.boot(t, img.params(), func(c *qemu.Config) { c.Disk.Path = disk })
		if r := v.waitReady(t); r.Data != "boot boot boot " {
			t.Errorf("data disk holds %q after the third boot", r.Data)
		}
		start := time.Now()
		if err := v.Machine.Stop(t.Context(), nil); err != nil {
			t.Error(err)
		}
		t.Logf("off after %v", time.Since(start).Round(time.Millisecond))
		if c := v.consoleText(t); !strings.Contains(c, "arpeggio: stopping: power button") || strings.Contains(c, "fatal") {
			t.Errorf("console:\n%s", c)
		}
	})
	if err := vmimage.InspectDisk(disk); err != nil {
		t.Error(err)
	}
}

// stopByMessage also covers what the other boots need not repeat: the card, the
// silent wire, health, exports, and the disk's lock.
func stopByMessage(t *testing.T, img image, disk string) {
	w := newWire(t)
	v := img.boot(t, img.params(), func(c *qemu.Config) {
		c.Disk.Path = disk
		c.Net = qemu.Net{Kind: qemu.NetStream, Socket: w.path}
	})
	r := v.waitReady(t)
	if r.Data != "boot " {
		t.Errorf("data disk holds %q after the first boot", r.Data)
	}
	if r.URLs["mac"] != "020000000007" {
		t.Errorf("card: %v", r.URLs)
	}
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
	defer cancel()
	if s, err := v.Status(ctx); err != nil || s != "running" {
		t.Errorf("status: %s %v", s, err)
	}
	if h, err := v.Ping(ctx); err != nil || h.Memory == 0 || h.Counters["answer"] != 42 {
		t.Errorf("ping: %+v %v", h, err)
	}
	var b bytes.Buffer
	if n, err := v.Export(ctx, control.Export{What: "octets"}, &b); err != nil || n != 1_500_000 || !bytes.HasPrefix(b.Bytes(), []byte("arpeggio arpeggio ")) {
		t.Errorf("export: %d %v", n, err)
	}
	if _, err := v.Export(ctx, control.Export{What: "nonsense"}, io.Discard); err == nil || !strings.Contains(err.Error(), "no nonsense here") {
		t.Errorf("export of nonsense: %v", err)
	}
	if _, err := qemu.LockDisk(disk); !errors.Is(err, qemu.ErrDiskInUse) {
		t.Errorf("second program on the disk: %v", err)
	}
	// The kernel has had the card up for a while and said nothing; the first
	// frame on the wire is the one that the test sends.
	if _, err := v.Export(ctx, control.Export{What: "frame"}, io.Discard); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(10 * time.Second); len(w.seen()) == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := v.Host.Stop(ctx, "the test is over"); err != nil {
		t.Error(err)
	}
	if err := v.ended(t); err != nil {
		t.Error(err)
	}
	if f := w.seen(); len(f) != 1 || !bytes.HasPrefix(f[0], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x88, 0xb5}) {
		t.Errorf("frames on the wire: %x", f)
	}
	for _, want := range []string{"arpeggio: ready", "arpeggio: stopping: the host asked: the test is over", "arpeggio: power off"} {
		if c := v.consoleText(t); !strings.Contains(c, want) || strings.Contains(c, "fatal") {
			t.Errorf("%q is not on the console, or a failure is:\n%s", want, c)
		}
	}
}

// TestRefusals boots machines that must refuse to serve, each with its reason.
func TestRefusals(t *testing.T) {
	img := buildImage(t)
	t.Run("binary cut off", func(t *testing.T) {
		// What a kernel without memory for the whole file leaves. The last
		// octets of the binary are debugging data, so it still runs.
		img := img
		cut := img.manifest
		img.initrd, img.manifest = img.withCutBinary(t)
		if img.manifest.InitSize >= cut.InitSize {
			t.Fatal("nothing was cut")
		}
		img.manifest = cut
		img.boot(t, img.params(), nil).refuses(t, "cut off")
	})
	t.Run("initramfs cut off", func(t *testing.T) {
		err := img.cut(t, img.manifest.Size/2).boot(t, img.params(), nil).ended(t)
		if !errors.Is(err, qemu.ErrGuestDied) || !strings.Contains(err.Error(), "build the image again") {
			t.Errorf("%v", err)
		}
	})
	t.Run("other binary than promised", func(t *testing.T) {
		p := img.params()
		p.SHA256[0] ^= 1
		img.boot(t, p, nil).refuses(t, "damaged")
	})
	t.Run("foreign disk", func(t *testing.T) {
		disk := filepath.Join(t.TempDir(), "foreign")
		before := bytes.Repeat([]byte("letters of a grandmother "), 1<<16)
		before = before[:len(before)&^511]
		if err := os.WriteFile(disk, before, 0o600); err != nil {
			t.Fatal(err)
		}
		v := img.boot(t, img.params(), func(c *qemu.Config) { c.Disk.Path = disk })
		v.refuses(t, "not an ext4 file system")
		if after, err := os.ReadFile(disk); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the disk was changed (%v)", err)
		}
	})
	t.Run("damaged disk", func(t *testing.T) {
		disk := filepath.Join(t.TempDir(), "damaged")
		if err := vmimage.CreateDisk(disk, vmimage.MinDiskSize); err != nil {
			t.Fatal(err)
		}
		scribble(t, disk, 4096, 512) // group descriptors
		before := hashFile(t, disk)
		v := img.boot(t, img.params(), func(c *qemu.Config) { c.Disk.Path = disk })
		v.refuses(t, "data disk is damaged")
		if hashFile(t, disk) != before {
			t.Error("the disk was changed")
		}
	})
	t.Run("server that does not stop", func(t *testing.T) {
		p := img.params()
		p.Extra = map[string]string{"hang": "1"}
		disk := filepath.Join(t.TempDir(), "data")
		if err := vmimage.CreateDisk(disk, vmimage.MinDiskSize); err != nil {
			t.Fatal(err)
		}
		v := img.boot(t, p, func(c *qemu.Config) { c.Disk.Path = disk })
		v.waitReady(t)
		if err := v.Machine.Stop(t.Context(), func(ctx context.Context) error { return v.Host.Stop(ctx, "enough") }); err != nil {
			t.Error(err)
		}
		if f := v.Fatal(); f == nil || !strings.Contains(f.Error(), "did not stop within 1s") {
			t.Errorf("control port: %v", f)
		}
	})
	t.Run("panic in the server", func(t *testing.T) {
		p := img.params()
		p.Extra = map[string]string{"panic": "oh no"}
		img.boot(t, p, nil).refuses(t, "the server panicked: oh no")
	})
}

// refuses waits for the machine's end and checks that the reason is on the
// console and came over the control port.
func (v vm) refuses(t *testing.T, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
	defer cancel()
	_, err := v.WaitReady(ctx)
	if fatal, ok := errors.AsType[*control.FatalError](err); !ok || !strings.Contains(fatal.Message, reason) || fatal.Remedy == "" {
		t.Errorf("control port: %v", err)
	}
	if err := v.ended(t); err != nil {
		t.Errorf("it should power off, but: %v", err)
	}
	if c := v.consoleText(t); !strings.Contains(c, "arpeggio: fatal: ") || !strings.Contains(c, reason) || strings.Contains(c, "arpeggio: ready") {
		t.Errorf("console:\n%s", c)
	}
}

// withCutBinary makes an initramfs whose /init lacks its last tenth. The ELF
// header must not mention the sections that are gone, else the image is refused.
func (i image) withCutBinary(t *testing.T) (string, vmimage.Manifest) {
	t.Helper()
	b, err := os.ReadFile(i.binary)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint64(b[0x28:], 0) // e_shoff
	binary.LittleEndian.PutUint32(b[0x3c:], 0) // e_shnum, e_shstrndx
	bin, out := filepath.Join(t.TempDir(), "init"), filepath.Join(t.TempDir(), "initramfs")
	if err := os.WriteFile(bin, b[:len(b)-len(b)/10], 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := vmimage.WriteInitramfs(out, vmimage.InitramfsConfig{Init: bin})
	if err != nil {
		t.Fatal(err)
	}
	return out, m
}

// cut returns the image with the last n octets of its initramfs missing.
func (i image) cut(t *testing.T, n int64) image {
	t.Helper()
	b, err := os.ReadFile(i.initrd)
	if err != nil {
		t.Fatal(err)
	}
	i.initrd = filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(i.initrd, b[:int64(len(b))-n], 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func scribble(t *testing.T, path string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, n), at); err != nil {
		t.Fatal(err)
	}
}

func hashFile(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
