package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/term"
)

// Config says where a command's results go. Stdout is required.
type Config struct {
	Stdout *os.File
	// Stderr is the pager's. Nil discards.
	Stderr io.Writer
	// LookupEnv reads the environment; os.LookupEnv when nil.
	LookupEnv func(string) (string, bool)
	// Color is auto (the zero value too), always or never.
	Color string
	// JSON promises that only JSON is called: no colour, no pager.
	JSON bool
	// NoPager never starts one.
	NoPager bool
}

// Output is standard output as a command sees it. Write errors stick: printing
// goes on without effect, Err tells, and Close returns the first one. A reader
// that went away (a pager that was left) is no error. It is for one goroutine.
type Output struct {
	cfg    Config
	buf    *bufio.Writer
	color  bool
	tty    bool
	pager  *exec.Cmd
	pipe   io.Closer // into the pager
	err    error
	closed bool
}

// New returns an Output on cfg.Stdout. It starts no pager; Page does.
func New(cfg Config) *Output {
	if cfg.LookupEnv == nil {
		cfg.LookupEnv = os.LookupEnv
	}
	o := &Output{cfg: cfg, buf: bufio.NewWriterSize(cfg.Stdout, 32<<10), tty: term.IsTerminal(int(cfg.Stdout.Fd()))}
	switch cfg.Color {
	case "always":
		o.color = true
	case "never":
	default:
		noColor, _ := cfg.LookupEnv("NO_COLOR") // https://no-color.org: present and not empty
		kind, _ := cfg.LookupEnv("TERM")
		o.color = o.tty && noColor == "" && kind != "dumb"
	}
	o.color = o.color && !cfg.JSON
	return o
}

// Write implements io.Writer. It always reports success; see Err.
func (o *Output) Write(b []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.buf.Write(b)
	}
	return len(b), nil
}

// Printf prints for people.
func (o *Output) Printf(format string, args ...any) { fmt.Fprintf(o, format, args...) }

// JSON prints one value as one line.
func (o *Output) JSON(v any) {
	enc := json.NewEncoder(o)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil && o.err == nil {
		o.err = err
	}
}

// IsJSON reports whether programs read the output.
func (o *Output) IsJSON() bool { return o.cfg.JSON }

// IsTerminal reports whether a person does.
func (o *Output) IsTerminal() bool { return o.tty }

// Err returns the first write error: a reason to stop early.
func (o *Output) Err() error { return o.err }

// Flush passes on what is buffered, for output that comes slowly.
func (o *Output) Flush() error {
	if err := o.buf.Flush(); err != nil && o.err == nil {
		o.err = err
	}
	return o.err
}

// Width returns the columns of the terminal, 0 when there is none and lines may
// have any length.
func (o *Output) Width() int {
	if !o.tty {
		return 0
	}
	w, _, err := term.GetSize(int(o.cfg.Stdout.Fd()))
	if err != nil {
		return 80
	}
	return w
}

// Close flushes and waits for the pager to be left.
func (o *Output) Close() error {
	if o.closed {
		return nil
	}
	o.closed = true
	o.Flush()
	if o.pager != nil {
		o.pipe.Close()
		if err := o.pager.Wait(); err != nil && o.err == nil {
			if _, exited := errors.AsType[*exec.ExitError](err); !exited {
				o.err = fmt.Errorf("pager: %w", err)
			}
		}
	}
	if errors.Is(o.err, syscall.EPIPE) || errors.Is(o.err, os.ErrClosed) {
		return nil
	}
	return o.err
}
