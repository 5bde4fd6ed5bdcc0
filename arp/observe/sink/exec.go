package sink

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/arp/vendors"
)

// ExecConfig configures Exec. Command is required.
type ExecConfig struct {
	// Command is a line for /bin/sh.
	Command string
	Vendors *vendors.Table // nil: one of its own
	// Parallel is how many commands run at a time, 4 when 0.
	Parallel int
	// Timeout is how long one may run, 30 s when 0; then it is killed, with all
	// that it has started in its process group.
	Timeout time.Duration
	// Output gets what the commands print; nil discards.
	Output *os.File
	Options
}

// Defaults of ExecConfig.
const (
	DefaultExecParallel = 4
	DefaultExecTimeout  = 30 * time.Second
)

// afterKill is how long the outputs of a killed command are waited for.
const afterKill = time.Second

// Exec returns a sink that runs a command for each event, with the event's JSON
// on standard input and its fields in the environment: ARPEGGIO_TYPE,
// ARPEGGIO_TIME, ARPEGGIO_IP, ARPEGGIO_VLAN, ARPEGGIO_MAC, ARPEGGIO_OLD_MAC,
// ARPEGGIO_VENDOR, ARPEGGIO_OLD_VENDOR, ARPEGGIO_IFACE, ARPEGGIO_COMMIT,
// ARPEGGIO_DOMAIN, ARPEGGIO_EPISODE, ARPEGGIO_PHASE, ARPEGGIO_COUNT,
// ARPEGGIO_KIND, ARPEGGIO_DETAIL. A command that does not exit with 0 has failed
// and is not run again.
func Exec(cfg ExecConfig) (Sink, error) {
	if cfg.Command == "" {
		return nil, fmt.Errorf("sink: no command to run")
	}
	if cfg.Vendors == nil {
		cfg.Vendors = &vendors.Table{}
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = DefaultExecParallel
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultExecTimeout
	}
	return newQueue("command "+strconv.Quote(cfg.Command), cfg.Options).start(cfg.Parallel, cfg.run, nil), nil
}

// run runs the command once.
func (c *ExecConfig) run(ctx context.Context, l *observe.Line) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	e := NewEvent(l, c.Vendors)
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.Command)
	cmd.Env = append(os.Environ(), environment(&e, l)...)
	cmd.Stdin = bytes.NewReader(JSON(l, c.Vendors))
	if c.Output != nil {
		cmd.Stdout, cmd.Stderr = c.Output, c.Output
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = afterKill
	err := cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("killed after %v", c.Timeout)
	}
	return err
}

// environment returns an event as variables.
func environment(e *Event, l *observe.Line) []string {
	vlan := "0"
	if !l.Record.Key.VLAN.IsZero() {
		vlan = l.Record.Key.VLAN.String()
	}
	return []string{
		"ARPEGGIO_TYPE=" + e.Type,
		"ARPEGGIO_TIME=" + e.TS.String(),
		"ARPEGGIO_IP=" + e.IP,
		"ARPEGGIO_VLAN=" + vlan,
		"ARPEGGIO_MAC=" + e.MAC,
		"ARPEGGIO_OLD_MAC=" + e.OldMAC,
		"ARPEGGIO_VENDOR=" + e.Vendor,
		"ARPEGGIO_OLD_VENDOR=" + e.OldVendor,
		"ARPEGGIO_IFACE=" + e.Iface,
		"ARPEGGIO_COMMIT=" + e.Commit,
		"ARPEGGIO_DOMAIN=" + e.Domain,
		"ARPEGGIO_EPISODE=" + e.Episode,
		"ARPEGGIO_PHASE=" + e.Phase,
		"ARPEGGIO_COUNT=" + strconv.FormatUint(e.Count, 10),
		"ARPEGGIO_KIND=" + e.Kind,
		"ARPEGGIO_DETAIL=" + e.Detail,
	}
}
