package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/qemu"
	"arpeggio/vcs/gitremote"
	"arpeggio/vmimage"
)

type snapshotCmd struct {
	Disk  string `xor:"source" required:"" placeholder:"FILE" help:"A data disk that no machine is using: a guest is booted that exports it."`
	Repo  string `xor:"source" required:"" placeholder:"URL" help:"A running appliance, such as http://127.0.0.1:8081/arp.git, or any Git repository."`
	Out   string `required:"" placeholder:"DIR" help:"The bare Git directory to write or update."`
	Image string `default:"build/image" placeholder:"DIR" help:"What image build wrote, for --disk (${default})."`
}

func (c *snapshotCmd) Run(ctx context.Context) error {
	var report gitremote.Report
	var err error
	if c.Repo != "" {
		report, err = gitremote.Fetch(ctx, c.Repo, c.Out, gitremote.FetchOptions{})
	} else {
		report, err = c.fromDisk(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d new objects, %d refs changed\n", c.Out, report.Objects, len(report.Changes))
	for _, f := range report.Forced {
		fmt.Printf("  %s was moved off its earlier history, %s is kept as an object\n", f.Name, f.Old.Short())
	}
	fmt.Printf("browse it: git -C %s log --all --graph --oneline\n", c.Out)
	return nil
}

// fromDisk boots a guest that exports the disk's history, and takes it in.
func (c *snapshotCmd) fromDisk(ctx context.Context) (gitremote.Report, error) {
	var none gitremote.Report
	if err := vmimage.InspectDisk(c.Disk); err != nil {
		return none, err
	}
	im, err := loadImage(c.Image)
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
	params.Data, params.Extra = guest.DataRequired, guestConfig{Export: true}.words()
	accel := qemu.Probe(ctx)
	limit := bootLimitKVM
	if accel.Kind == qemu.TCG {
		limit = bootLimitTCG
	}
	note("booting a guest that exports %s (%s)", c.Disk, accel.Kind)
	log := slog.New(slog.DiscardHandler)
	m, err := startMachine(ctx, limit, params, qemu.Config{
		Kernel: im.Kernel, Initrd: im.Initramfs, Memory: 256, Accel: accel, Disk: qemu.Disk{Path: c.Disk}, Logger: log,
	}, log)
	if err != nil {
		if errors.Is(err, qemu.ErrDiskInUse) {
			err = withHint(err, "a machine is running on that disk: take the snapshot over the network, with --repo http://127.0.0.1:8081/arp.git")
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
	if _, err := m.host.Export(ctx, control.Export{What: exportBundle}, bundle); err != nil {
		return none, fmt.Errorf("export %s: %w", c.Disk, err)
	}
	if err := m.qemu.Stop(ctx, func(ctx context.Context) error { return m.host.Stop(ctx, "exported") }); err != nil {
		note("%v", err)
	}
	if _, err := bundle.Seek(0, io.SeekStart); err != nil {
		return none, err
	}
	return gitremote.ImportBundle(bundle, c.Out)
}
