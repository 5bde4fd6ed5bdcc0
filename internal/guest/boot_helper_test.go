package guest_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/qemu"
	"arpeggio/vmimage"
)

// bootLimit is how long one machine may take to be ready. It needs 5 s of
// processor time under TCG.
const bootLimit = 4 * time.Minute

// image is what the boot tests share: it is built once.
type image struct {
	kernel, binary, initrd string
	manifest               vmimage.Manifest
}

// buildImage builds the test's first process and an initramfs around it, and
// skips the test where no machine can run.
func buildImage(t *testing.T) image {
	t.Helper()
	if testing.Short() {
		t.Skip("boots virtual machines; not with -short")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the guest's kernel is for amd64")
	}
	if _, err := qemu.FindBinary(); err != nil {
		t.Skip(err)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.amd64").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("the kernel's module is not downloaded: go mod download github.com/gokrazy/kernel.amd64")
	}
	img := image{kernel: filepath.Join(dir, "vmlinuz"), initrd: filepath.Join(t.TempDir(), "initramfs")}
	if _, err := vmimage.Kernel(img.kernel); err != nil {
		t.Fatal(err)
	}
	img.binary = filepath.Join(t.TempDir(), "testinit")
	build := exec.Command("go", "build", "-o", img.binary, "./testdata/testinit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	img.manifest, err = vmimage.WriteInitramfs(img.initrd, vmimage.InitramfsConfig{Init: img.binary})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (i image) params() guest.Params {
	return guest.Params{Size: i.manifest.InitSize, SHA256: i.manifest.InitSHA256, Complete: vmimage.CompleteMarker, Time: time.Now()}
}

// vm is a started machine and the conversation with its guest.
type vm struct {
	*qemu.Machine
	*control.Host
	started time.Time
	console string
}

func (i image) boot(t *testing.T, p guest.Params, change func(*qemu.Config)) vm {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	v := vm{started: time.Now(), console: filepath.Join(t.TempDir(), "console")}
	cfg := qemu.Config{
		Kernel: i.kernel, Initrd: i.initrd, Cmdline: p.Cmdline(), Memory: 192,
		Ports:   []string{control.PortControl, control.PortExport},
		Console: v.console,
		MAC:     [6]byte{2, 0, 0, 0, 0, 7},
		Net:     qemu.Net{Kind: qemu.NetUser},
	}
	if change != nil {
		change(&cfg)
	}
	m, err := qemu.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Kill() })
	v.Machine = m
	v.Host = control.NewHost(m.Port(control.PortControl), m.Port(control.PortExport), control.HostConfig{
		OnLog: func(l control.Log) { t.Logf("guest: %s %s", l.Level, l.Text) },
	})
	t.Cleanup(func() { v.Host.Close() })
	return v
}

func (v vm) waitReady(t *testing.T) control.Ready {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
	defer cancel()
	r, err := v.WaitReady(ctx)
	if err != nil {
		t.Fatalf("not ready after %v: %v\n%s", time.Since(v.started), err, strings.Join(v.ConsoleTail(), "\n"))
	}
	t.Logf("ready after %v, guest says %v", time.Since(v.started).Round(time.Millisecond), r.Uptime.Round(time.Millisecond))
	return r
}

// ended waits for the machine's end.
func (v vm) ended(t *testing.T) error {
	t.Helper()
	select {
	case <-v.Ended():
		return v.Wait()
	case <-time.After(bootLimit):
		t.Fatalf("the machine does not end\n%s", strings.Join(v.ConsoleTail(), "\n"))
		return nil
	}
}

func (v vm) consoleText(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(v.console)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wire is the other end of a guest's card: it keeps every frame.
type wire struct {
	path string

	mu     sync.Mutex
	frames [][]byte
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{path: filepath.Join(t.TempDir(), "wire")}
	l, err := net.Listen("unix", w.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for {
			var n uint32
			if binary.Read(c, binary.BigEndian, &n) != nil || n > 65550 {
				return
			}
			f := make([]byte, n)
			if _, err := io.ReadFull(c, f); err != nil {
				return
			}
			w.mu.Lock()
			w.frames = append(w.frames, f)
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *wire) seen() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.frames)
}
