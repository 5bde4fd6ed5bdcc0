// Command arpeggio is a network stack, a versioned record of what it learns
// about its neighbours, and the machine to run both in: on a TAP device of a
// host, as PID 1 of a virtual machine, or many times over in one process.
//
// This package holds flags and wiring, nothing else. The rules of its user
// interface: results go to standard output and everything else to standard
// error; an error is one sentence that names the thing, and a second line that
// starts with "hint:" where there is something to do about it; the exit code is
// 0 for success, 1 for failure and 2 for a command line that makes no sense.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"reflect"

	"github.com/alecthomas/kong"

	"arpeggio/internal/guest"
)

// version is set by the linker (see the Makefile).
var version = "unknown"

type commands struct {
	Serve    serveCmd    `cmd:"" help:"Serve a directory from a TAP device of this host."`
	Watch    watchCmd    `cmd:"" help:"Watch interfaces and record who had an address when."`
	Read     readCmd     `cmd:"" help:"Read captures and record who had an address when."`
	SS       ssCmd       `cmd:"" name:"ss" help:"List the sockets of a serve or a machine that runs."`
	Pcap     pcapCmd     `cmd:"" help:"Show the packets of a recording, and what each has led to."`
	VM       vmCmds      `cmd:"" name:"vm" help:"Run the appliance in a virtual machine."`
	Image    imageCmds   `cmd:"" help:"Make what a virtual machine boots from."`
	Snapshot snapshotCmd `cmd:"" help:"Write a history as a bare Git directory."`
	GitServe gitServeCmd `cmd:"" name:"git-serve" help:"Serve a repository to git over HTTP."`
	Demo     demoCmd     `cmd:"" help:"Run ten nodes on one switch in this process, each with its own repository."`

	historyCmds

	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() {
	if guest.IsInit() { // not the first process of a container
		os.Exit(guestMain())
	}
	os.Exit(run(os.Args[1:]))
}

// run executes the command line and returns the exit code.
func run(args []string) int {
	var cli commands
	code := -1
	parser := kong.Must(&cli,
		kong.Name("arpeggio"),
		kong.Description("A network stack whose ARP cache is a Git repository."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.Vars{"version": "arpeggio " + version},
		kong.Exit(func(c int) { code = c; panic(exited{}) }),
		kong.Help(helpWithExample),
		kong.TypeMapper(reflect.TypeFor[netip.Prefix](), kong.MapperFunc(prefixFlag)),
		kong.TypeMapper(reflect.TypeFor[netip.Addr](), kong.MapperFunc(addrFlag)),
	)
	var cmd *kong.Context
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(exited); !ok {
					panic(r)
				}
			}
		}()
		cmd, err = parser.Parse(args)
		return err
	}()
	if code >= 0 { // --help, --version
		return code
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "arpeggio: %v\nhint: arpeggio --help, or arpeggio COMMAND --help\n", err)
		return 2
	}

	_, outlives := cmd.Selected().Target.Addr().Interface().(interface{ outlivesHangup() })
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals(outlives)...)
	defer stop()
	cmd.BindTo(ctx, (*context.Context)(nil))
	if err := cmd.Run(); err != nil {
		return fail(err)
	}
	return 0
}

type exited struct{} // unwinds the parser after it has printed help

// fail prints err for a person and returns the exit code.
func fail(err error) int {
	var e exitError
	if errors.As(err, &e) && e.error == nil {
		return e.code
	}
	fmt.Fprintf(os.Stderr, "arpeggio: %v\n", err)
	if h := hintOf(err); h != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", h)
	}
	var u usageError
	if errors.As(err, &u) {
		return 2
	}
	if e.code != 0 {
		return e.code
	}
	return 1
}

// usageError is an argument that makes no sense.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// hinted is an error with advice for whoever typed the command.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// withHint adds advice to an error; nil stays nil.
func withHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hinted{err, fmt.Sprintf(format, args...)}
}

func hintOf(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// helpWithExample prints kong's help and, for the program as a whole, a session
// that works.
func helpWithExample(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if ctx.Selected() == nil {
		fmt.Fprint(ctx.Stdout, `
Example:
  # as root: serve the current directory at http://10.9.0.2/ to this host
  arpeggio serve --tap tap0 --host-ip 10.9.0.1/24 --ip 10.9.0.2/24 --root .
  # the same in a virtual machine, without root: see make run
  git clone http://127.0.0.1:8081/arp.git && git -C arp log --graph --oneline
`)
	}
	return nil
}
