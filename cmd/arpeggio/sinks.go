package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"

	"arpeggio/arp/observe/sink"
	"arpeggio/arp/vendors"
)

// sinkFlags say who hears of events besides the terminal.
type sinkFlags struct {
	Syslog        string   `placeholder:"ADDR" help:"Tell the system's log in arpwatch's words (RFC 5424): /dev/log, udp:HOST:PORT or tcp:HOST:PORT."`
	Webhook       string   `placeholder:"URL" help:"Post each event to a web server, as a JSON object."`
	WebhookHeader []string `placeholder:"NAME:VALUE" sep:"none" help:"Header of these requests, such as 'Authorization: Bearer …'; may be repeated."`
	Exec          string   `placeholder:"COMMAND" help:"Run a command for each event, with its JSON on standard input and ARPEGGIO_* in the environment; at most 4 at a time, 30 s each."`
}

// sinks are those that the flags name, at work.
type sinks struct {
	sink.Group
	run context.Context // of the program
}

// sinkGrace is how long events may still be delivered once the run is stopped.
const sinkGrace = 5 * time.Second

// open starts them. A live run never waits for them; a capture is read no faster
// than they take its events, until ctx ends.
func (f *sinkFlags) open(ctx context.Context, live bool, names *vendors.Table, log *slog.Logger) (*sinks, error) {
	all := &sinks{run: ctx}
	options := sink.Options{Logger: log}
	if !live {
		options.Wait = ctx.Done()
	}
	add := func(s sink.Sink, err error) error {
		if err != nil {
			return usageError{err}
		}
		all.Group = append(all.Group, s)
		return nil
	}
	if f.Syslog != "" {
		if err := add(sink.Syslog(sink.SyslogConfig{Addr: f.Syslog, Options: options})); err != nil {
			return nil, err
		}
	}
	header, err := f.header()
	if err != nil {
		return nil, err
	}
	if f.Webhook != "" {
		if err := add(sink.Webhook(sink.WebhookConfig{URL: f.Webhook, Header: header, Vendors: names, Options: options})); err != nil {
			return nil, err
		}
	}
	if f.Exec != "" {
		if err := add(sink.Exec(sink.ExecConfig{Command: f.Exec, Vendors: names, Output: os.Stderr, Options: options})); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// header returns the headers of --webhook-header.
func (f *sinkFlags) header() (http.Header, error) {
	h := make(http.Header)
	for _, s := range f.WebhookHeader {
		name, value, ok := strings.Cut(s, ":")
		value = strings.TrimSpace(value)
		if !ok || name == "" || strings.ContainsFunc(name, notInToken) || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, usagef("--webhook-header: want NAME: VALUE, such as 'Authorization: Bearer secret'")
		}
		h.Add(name, value)
	}
	if len(h) > 0 && f.Webhook == "" {
		return nil, usagef("--webhook-header needs --webhook URL")
	}
	return h, nil
}

// notInToken reports whether a header's name cannot have r (RFC 9110 §5.6.2).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// close delivers what is left: all of it, or what can be in the grace after the
// end of the run. It says what did not arrive.
func (s *sinks) close(quiet bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := context.AfterFunc(s.run, func() {
		select {
		case <-time.After(sinkGrace):
			cancel()
		case <-ctx.Done():
		}
	})
	defer stop()
	s.Group.Close(ctx)
	for _, one := range s.Group {
		c := one.Counts()
		if n := c.Missing(); n > 0 && !quiet {
			note("%s: %s of %d did not arrive (%d failed, %d dropped); the history has them",
				one.Name(), count(int(n), "event"), c.Delivered+n, c.Failed, c.Dropped)
		}
	}
}
