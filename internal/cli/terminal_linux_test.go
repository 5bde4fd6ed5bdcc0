package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal returns both ends of a pseudo-terminal of 100 columns.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: 100}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// shown returns what a terminal is told by f.
func shown(t *testing.T, cfg Config, f func(o *Output)) string {
	t.Helper()
	master, slave := terminal(t)
	cfg.Stdout, cfg.Stderr = slave, slave
	got := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // ends with EIO when the slave is closed
		got <- string(b)
	}()
	o := New(cfg)
	f(o)
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	slave.Close()
	return strings.ReplaceAll(<-got, "\r\n", "\n")
}

func TestOnATerminal(t *testing.T) {
	print := func(o *Output) {
		o.Page()
		o.Printf("%s %d\n", o.Paint(ID, "x"), o.Width())
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{LookupEnv: env("ARPEGGIO_PAGER=cat")}, "\x1b[33mx\x1b[m 100\n"},
		{Config{LookupEnv: env("ARPEGGIO_PAGER=cat", "NO_COLOR=1")}, "x 100\n"},
		{Config{LookupEnv: env("ARPEGGIO_PAGER=cat", "NO_COLOR=")}, "\x1b[33mx\x1b[m 100\n"},
		{Config{LookupEnv: env("ARPEGGIO_PAGER=cat", "TERM=dumb")}, "x 100\n"},
		{Config{LookupEnv: env("ARPEGGIO_PAGER=sed 's/^/paged: /'")}, "paged: \x1b[33mx\x1b[m 100\n"},
		{Config{LookupEnv: env("ARPEGGIO_PAGER=sed 's/^/paged: /'"), NoPager: true, Color: "never"}, "x 100\n"},
		{Config{LookupEnv: env("ARPEGGIO_PAGER=echo $LESS $LV; cat")}, "FRX -c\n\x1b[33mx\x1b[m 100\n"},
	} {
		if got := shown(t, c.cfg, print); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Leaving the pager ends the output without an error.
func TestAPagerThatIsLeft(t *testing.T) {
	var stopped error
	got := shown(t, Config{LookupEnv: env("ARPEGGIO_PAGER=head -n 1")}, func(o *Output) {
		o.Page()
		for range 100000 {
			o.Printf("a line that is longer than nothing\n")
		}
		stopped = o.Err()
	})
	if got != "a line that is longer than nothing\n" || stopped == nil {
		t.Errorf("%.100q, %v", got, stopped)
	}
}
