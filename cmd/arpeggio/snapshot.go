package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/qemu"
	"arpeggio/vcs/gitremote"
	"arpeggio/vmimage"
)

type snapshotCmd struct {
	Disk  string `xor:"source" required:"" placeholder:"FILE" help:"A data disk that no machine is using: a guest is booted that exports it."`
	Repo  string `xor:"source" required:"" placeholder:"WHERE" help:"A running appliance, such as http://127.0.0.1:8081/arp.git, any Git repository, a store of serve --repo, or a data disk."`
	Out   string `required:"" placeholder:"DIR" help:"The bare Git directory to write or update."`
	Image string `default:"build/image" placeholder:"DIR" help:"What image build wrote, for a data disk (${default})."`
}

func (c *snapshotCmd) Run(ctx context.Context) error {
	var report gitremote.Report
	var err error
	if err := checkOut(c.Out); err != nil {
		return err
	}
	switch {
	case isStore(c.Repo):
		report, err = exportFromStore(ctx, c.Repo, c.Out)
	case isFile(c.Repo):
		report, err = exportFromDisk(ctx, c.Image, c.Repo, c.Out)
	case c.Repo != "":
		report, err = gitremote.Fetch(ctx, c.Repo, c.Out, gitremote.RemoteOptions{})
		if errors.Is(err, syscall.ECONNREFUSED) {
			err = withHint(err, "no machine answers there; the history of one that is off is on its disk: --disk FILE")
		}
	default:
		report, err = exportFromDisk(ctx, c.Image, c.Disk, c.Out)
	}
	if err != nil {
		return err
	}
	if len(report.Changes) == 0 {
		fmt.Printf("%s: up to date\n", c.Out)
	} else {
		fmt.Printf("%s: %d objects, %d refs changed\n", c.Out, report.Objects, len(report.Changes))
	}
	for _, f := range report.Forced {
		fmt.Printf("  %s was moved off its earlier history, %s is kept as an object\n", f.Name, f.Old.Short())
	}
	fmt.Printf("browse it: git -C %s log --all --graph --oneline\n", c.Out)
	return nil
}

// isStore tells a store of serve --repo from a Git repository.
func isStore(name string) bool {
	_, err := os.Stat(filepath.Join(name, "MANIFEST"))
	return name != "" && err == nil
}

// isFile tells a data disk from directories and URLs.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return name != "" && err == nil && info.Mode().IsRegular()
}

// exportFromStore copies a store that no program is using.
func exportFromStore(ctx context.Context, dir, out string) (report gitremote.Report, err error) {
	f := repoFlags{Repo: dir}
	s, err := f.open(ctx, printFlags{Color: "never", NoPager: true})
	if err != nil {
		return report, err
	}
	defer s.close(&err)
	return gitremote.WriteSnapshot(out, s.Store)
}

// checkOut refuses a directory that holds something else, before a guest is
// booted for it.
func checkOut(dir string) error {
	if names, err := os.ReadDir(dir); errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	}
	d, err := gitremote.OpenDir(dir)
	if err != nil {
		return err
	}
	return d.Close()
}

// exportFromDisk takes into the bare Git directory out what a guest exports: the
// history on the data disk or, when its store is damaged, the last snapshot that
// was written beside it.
func exportFromDisk(ctx context.Context, image, disk, out string) (gitremote.Report, error) {
	report, err := bootExport(ctx, image, disk, out, guestConfig{Export: true})
	if err == nil || !storeFails(err) {
		return report, err
	}
	note("%v", err)
	note("taking the last snapshot on %s instead", disk)
	if report, serr := bootExport(ctx, image, disk, out, guestConfig{Export: true, Saved: true}); serr == nil {
		return report, nil
	}
	return report, withHint(err, "neither the store nor the last snapshot can be read: keep the disk, and check a copy of it with e2fsck -f FILE")
}

// storeFails reports whether it is the store that a guest fails on: it does not
// open, reading it kills the guest, or what it says cannot be exported.
func storeFails(err error) bool {
	fatal, ok := errors.AsType[*control.FatalError](err)
	_, export := errors.AsType[exportError](err)
	return export || errors.Is(err, qemu.ErrGuestDied) || ok && strings.HasPrefix(fatal.Message, storeRefused)
}

// exportError is a guest's failure to export.
type exportError struct{ error }

func (e exportError) Unwrap() error { return e.error }

// bootExport boots a guest that exports what config says, and takes it in.
func bootExport(ctx context.Context, image, disk, out string, config guestConfig) (gitremote.Report, error) {
	var none gitremote.Report
	if err := vmimage.InspectDisk(disk); err != nil {
		return none, err
	}
	im, err := loadImage(image)
	if err != nil {
		return none, err
	}
	if _, err := qemu.FindBinary(); err != nil {
		return none, err
	}
	params, err := im.params()
	if err != nil {
		return none, err
	}
	params.Data, params.Extra = guest.DataRequired, config.words()
	accel := qemu.Probe(ctx)
	limit := bootLimitKVM
	if accel.Kind == qemu.TCG {
		limit = bootLimitTCG
	}
	note("booting a guest that exports %s (%s)", disk, accel.Kind)
	log := slog.New(slog.DiscardHandler)
	m, err := startMachine(ctx, limit, params, qemu.Config{
		Kernel: im.Kernel, Initrd: im.Initramfs, Memory: 256, Accel: accel, Disk: qemu.Disk{Path: disk}, Logger: log,
	}, "", control.HostConfig{}, log)
	if err != nil {
		if errors.Is(err, qemu.ErrDiskInUse) {
			err = withHint(err, "a machine is running on that disk: ask it over the network, with --repo http://127.0.0.1:8081/arp.git or what its vm run --manage says")
		}
		return none, err
	}
	defer m.close()

	bundle, err := os.CreateTemp("", "arpeggio-*.bundle")
	if err != nil {
		return none, err
	}
	defer os.Remove(bundle.Name())
	defer bundle.Close()
	if m.ready.Data == noHistory {
		return none, fmt.Errorf("%s holds no history yet", disk)
	}
	if _, err := m.host.Export(ctx, control.Export{What: exportBundle}, bundle); err != nil {
		return none, exportError{fmt.Errorf("export %s: %w", disk, err)}
	}
	if err := m.qemu.Stop(ctx, func(ctx context.Context) error { return m.host.Stop(ctx, "exported") }); err != nil {
		note("%v", err)
	}
	if _, err := bundle.Seek(0, io.SeekStart); err != nil {
		return none, err
	}
	return gitremote.ImportBundle(bundle, out)
}
