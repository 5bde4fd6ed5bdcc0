package guest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/qemu"
	"arpeggio/vmimage"
)

// bootLimit is how long one machine may take to be ready. It needs 5 s of
// processor time under TCG.
const bootLimit = 2 * time.Minute

// image is what the boot tests share: it is built once.
type image struct {
	kernel, initrd string
	manifest       vmimage.Manifest
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
	bin := filepath.Join(t.TempDir(), "testinit")
	build := exec.Command("go", "build", "-o", bin, "./testdata/testinit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	img.manifest, err = vmimage.WriteInitramfs(img.initrd, vmimage.InitramfsConfig{Init: bin})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (i image) params() guest.Params {
	return guest.Params{Size: i.manifest.InitSize, SHA256: i.manifest.InitSHA256, Complete: vmimage.CompleteMarker, Time: time.Now()}
}

const cmdline = "console=ttyS0 quiet panic=-1 ipv6.disable=1 sysctl.vm.overcommit_memory=1 "

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
		Kernel: i.kernel, Initrd: i.initrd, Cmdline: cmdline + p.String(), Memory: 192,
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

func TestBoot(t *testing.T) {
	img := buildImage(t)
	disk := filepath.Join(t.TempDir(), "data")
	if err := vmimage.CreateDisk(disk, 160<<20); err != nil {
		t.Fatal(err)
	}
	t.Run("first boot, export, stop by message", func(t *testing.T) {
		v := img.boot(t, img.params(), func(c *qemu.Config) { c.Disk.Path = disk })
		r := v.waitReady(t)
		if r.Data != "boot " {
			t.Errorf("data disk: %q", r.Data)
		}
		if r.URLs["mac"] != "020000000007" {
			t.Errorf("card: %v", r.URLs)
		}
		ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
		defer cancel()
		if h, err := v.Ping(ctx); err != nil || h.Memory == 0 {
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
		if err := v.Host.Stop(ctx, "test"); err != nil {
			t.Error(err)
		}
		if err := v.ended(t); err != nil {
			t.Error(err)
		}
		if c := v.consoleText(t); !strings.Contains(c, "arpeggio: ready") || !strings.Contains(c, "arpeggio: power off") {
			t.Errorf("console:\n%s", c)
		}
	})
}
