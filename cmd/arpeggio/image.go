package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"arpeggio/site"
	"arpeggio/vmimage"
)

type imageCmds struct {
	Build imageBuildCmd `cmd:"" help:"Make a kernel and an initramfs that holds this program and a site."`
}

type imageBuildCmd struct {
	Kernel string `required:"" placeholder:"FILE" help:"The kernel, a bzImage for x86-64."`
	Init   string `placeholder:"FILE" help:"The static Linux binary that becomes PID 1. Default: this program."`
	Site   string `placeholder:"DIR" help:"The site. Default: the built-in one."`
	Out    string `required:"" placeholder:"DIR" help:"Where to write vmlinuz, initramfs.cpio and image.json."`
}

// image is what image.json says: the files beside it and what the guest checks
// itself against.
type image struct {
	Kernel     string `json:"kernel"`
	Initramfs  string `json:"initramfs"`
	InitSize   int64  `json:"init_size"`
	InitSHA256 string `json:"init_sha256"`
	KernelName string `json:"kernel_version"`
	Size       int64  `json:"initramfs_size"`
	SHA256     string `json:"initramfs_sha256"`
}

const imageFile = "image.json"

func (c *imageBuildCmd) Run() error {
	if c.Init == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program's file: %w", err)
		}
		c.Init = self
	}
	kernel, err := vmimage.Kernel(c.Kernel)
	if err != nil {
		return err
	}
	tree := site.Default()
	if c.Site != "" {
		if tree, err = vmimage.SiteDir(c.Site); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	manifest, err := vmimage.WriteInitramfs(filepath.Join(c.Out, "initramfs.cpio"), vmimage.InitramfsConfig{
		Init: c.Init, Trees: map[string]fs.FS{"site": tree},
	})
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(c.Out, "vmlinuz"), c.Kernel); err != nil {
		return err
	}
	b, err := json.MarshalIndent(image{
		Kernel: "vmlinuz", Initramfs: "initramfs.cpio", KernelName: kernel.Version,
		InitSize: manifest.InitSize, InitSHA256: hex.EncodeToString(manifest.InitSHA256[:]), Size: manifest.Size,
		SHA256: hex.EncodeToString(manifest.SHA256[:]),
	}, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Out, imageFile), append(b, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Printf("image  %s: Linux %s, initramfs of %s (%d files)\n", c.Out, kernel.Version, size(manifest.Size), manifest.Entries)
	return nil
}

// copyFile replaces dst by a copy of src in one step.
func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(dst), ".copy-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy %s: %w", src, err)
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := os.Chmod(out.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(out.Name(), dst)
}

// loadImage reads what image build wrote and returns it with absolute paths.
func loadImage(dir string) (image, error) {
	const hint = "make it with: make image (or arpeggio image build --kernel FILE --out %s); --image DIR names another"
	b, err := os.ReadFile(filepath.Join(dir, imageFile))
	if err != nil {
		return image{}, withHint(fmt.Errorf("no image in %s: %w", dir, err), hint, dir)
	}
	var m image
	if err := json.Unmarshal(b, &m); err != nil || m.Kernel == "" || m.Initramfs == "" || m.InitSHA256 == "" {
		return image{}, withHint(fmt.Errorf("%s is damaged", filepath.Join(dir, imageFile)), hint, dir)
	}
	m.Kernel, m.Initramfs = filepath.Join(dir, m.Kernel), filepath.Join(dir, m.Initramfs)
	if _, err := vmimage.Kernel(m.Kernel); err != nil {
		return image{}, withHint(err, hint, dir)
	}
	if err := m.checkInitramfs(); err != nil {
		return image{}, withHint(err, hint, dir)
	}
	return m, nil
}

// checkInitramfs compares the initramfs with what image build wrote. A kernel
// would run a damaged one and crash in it, or not even that.
func (m image) checkInitramfs() error {
	f, err := os.Open(m.Initramfs)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	switch n, err := io.Copy(sum, f); {
	case err != nil:
		return err
	case n != m.Size:
		return fmt.Errorf("%s has %d octets and should have %d: it was cut off or replaced", m.Initramfs, n, m.Size)
	case hex.EncodeToString(sum.Sum(nil)) != m.SHA256:
		return fmt.Errorf("%s is damaged: its SHA-256 is not the one in %s", m.Initramfs, imageFile)
	}
	return nil
}

// size prints octets for people.
func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d octets", n)
}
