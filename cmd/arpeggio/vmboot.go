package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/internal/keep"
	"arpeggio/internal/recording"
	"arpeggio/internal/sockstat"
	"arpeggio/qemu"
)

// machine is a booted guest and the conversation with it.
type machine struct {
	qemu  *qemu.Machine
	host  *control.Host
	ready control.Ready
	boot  time.Duration
}

func (m *machine) close() {
	m.host.Close()
	m.qemu.Kill()
}

// insight answers other programs of this user for the guest, and for who records
// its frames, if notes are not nil.
func (m *machine) insight(notes *recording.Notes) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+socketsPath, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), askLimit)
		defer cancel()
		var answer bytes.Buffer
		if _, err := m.host.Export(ctx, control.Export{What: exportSockets}, &answer); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if notes == nil {
			_, _ = answer.WriteTo(w) // nobody is there any more to be told
			return
		}
		var snap sockstat.Snapshot
		if err := json.Unmarshal(answer.Bytes(), &snap); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		st := notes.Stats()
		snap.Recording = &st
		_ = json.NewEncoder(w).Encode(&snap) // likewise
	})
	return mux
}

// boot starts QEMU and returns when the guest serves.
func (c *vmRunCmd) boot(ctx context.Context, im image, w wire, accel qemu.Accelerator, log *slog.Logger) (*machine, error) {
	params, err := im.params()
	if err != nil {
		return nil, err
	}
	params.Address, params.Gateway = w.address()
	params.Debug = c.Verbose
	params.Data = guest.DataNone
	if c.Disk != "" {
		params.Data = guest.DataRequired
	}
	params.Extra = guestConfig{Node: c.Node, Noted: c.Pcap != "", Record: c.recordFlags, Expire: c.Expire, Manage: c.Manage != "off", Push: c.WriteToken != "", DNS: c.DNS, NTP: c.NTP,
		Keep: keep.Policy{Bytes: c.Keep, Age: c.KeepFor, Commits: c.KeepCommits, ArchiveBytes: c.ArchiveMax}}.words()
	limit := bootLimitKVM
	if accel.Kind == qemu.TCG {
		limit = bootLimitTCG
	}
	var hc control.HostConfig
	if n := w.notes(); n != nil {
		hc.OnNoted = n.Remote()
	}
	note("booting Linux %s with %d MiB, console in %s", im.KernelName, c.Memory, c.Console)
	return startMachine(ctx, limit, params, qemu.Config{
		Kernel: im.Kernel, Initrd: im.Initramfs, Memory: c.Memory, Accel: accel,
		Net: w.card(), MAC: guestMAC, Disk: qemu.Disk{Path: c.Disk}, Console: c.Console, Logger: log,
	}, c.tokens, hc, log)
}

// startMachine boots and waits for the guest to be ready. It is given the tokens
// of those who may push, if that is not empty, once it can listen. Its log goes to
// log, whatever hc says.
func startMachine(ctx context.Context, limit time.Duration, params guest.Params, cfg qemu.Config, tokens string, hc control.HostConfig, log *slog.Logger) (*machine, error) {
	if err := params.Check(); err != nil {
		return nil, err
	}
	cfg.Cmdline = params.Cmdline()
	cfg.Ports = []string{control.PortControl, control.PortExport}
	cfg.OnStall = func(reason string) {
		if reason == "" {
			note("the data disk can be written again: the machine goes on")
			return
		}
		note("%s cannot be written (%s): the machine waits and loses nothing; make room on the host, and it goes on by itself", cfg.Disk.Path, reason)
	}
	start := time.Now()
	q, err := qemu.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	hc.OnLog = func(l control.Log) { log.Info("guest: "+l.Text, "level", l.Level) }
	m := &machine{qemu: q, host: control.NewHost(q.Port(control.PortControl), q.Port(control.PortExport), hc)}
	if cfg.Accel.Kind == qemu.KVM {
		// A broken KVM may hang instead of failing.
		hctx, cancel := context.WithTimeout(ctx, helloLimit)
		_, err := m.host.WaitHello(hctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			m.close()
			return nil, fmt.Errorf("%w: no sign of life within %v", qemu.ErrAccelerator, helloLimit)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the guest did not become ready within %v", limit))
	defer cancel()
	if tokens != "" {
		if _, err = m.host.WaitHello(ctx); err == nil {
			err = m.host.Give(givenTokens, tokens)
		}
	}
	if err == nil {
		m.ready, err = m.host.WaitReady(ctx)
	}
	if err == nil {
		m.boot = time.Since(start)
		return m, nil
	}
	defer m.close()
	return nil, m.bootError(ctx, err)
}

// bootError finds the most telling reason why the guest never became ready.
func (m *machine) bootError(ctx context.Context, err error) error {
	var fatal *control.FatalError
	if errors.As(err, &fatal) {
		return withHint(refusal{fatal}, "%s", fatal.Remedy)
	}
	if errors.Is(err, control.ErrGuestGone) {
		select { // its end follows its silence
		case <-m.qemu.Ended():
		case <-time.After(5 * time.Second):
		}
	}
	select {
	case <-m.qemu.Ended():
		if werr := m.qemu.Wait(); werr != nil {
			return werr
		}
		return fmt.Errorf("the guest powered off before it was ready; its console ended with:\n%s", tail(m.qemu.ConsoleTail()))
	default:
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return withHint(fmt.Errorf("%w; its console ended with:\n%s", cause, tail(m.qemu.ConsoleTail())), "a busy host boots slowly: try again, with more --memory if the console speaks of memory")
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("stopped while the guest was booting (%w)", cause)
	}
	return err
}

// refusal is a guest's fatal message; its remedy is told as a hint.
type refusal struct{ *control.FatalError }

func (r refusal) Error() string { return "the guest refuses: " + r.Message }
func (r refusal) Unwrap() error { return r.FatalError }

func tail(lines []string) string {
	var out string
	for _, l := range lines {
		out += "  | " + l + "\n"
	}
	if out == "" {
		return "  (nothing)"
	}
	return out[:len(out)-1]
}
