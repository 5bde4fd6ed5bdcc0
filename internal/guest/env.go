package guest

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"arpeggio/internal/control"
)

// Config configures Run. The zero value works.
type Config struct {
	Version string // of the program, for the host
	// Grace is how long the server may take to return once its context is
	// cancelled; then the machine powers off without it. 0 means 20 s.
	Grace time.Duration
}

// Env is what the machine gives the server.
type Env struct {
	Params  Params
	Card    Card   // zero when the machine has no network card
	DataDir string // where the data disk is mounted; "" when there is none
	// DataBytes is the size of the file system there, Memory that of the
	// machine's memory, in octets; 0 when unknown.
	DataBytes, Memory int64
	Control           *control.Guest // to the host; nil when there is no control port
	Logger            *slog.Logger   // to the console and to the host

	console io.Writer
	boot    time.Time // when the kernel started
}

// Card is the machine's network card. It is up, and the kernel has no address
// on it.
type Card struct {
	Name  string // such as eth0
	Index int
	Addr  [6]byte // MAC address
	MTU   int     // octets
}

// Ready prints the marker line on the console and tells the host. URLs are by
// purpose ("site", "management", "git"). The error is the console's; a host that
// does not listen is only worth a line in the log.
func (e Env) Ready(addresses []string, urls map[string]string, data string) error {
	var b strings.Builder
	b.WriteString("arpeggio: ready")
	for _, a := range addresses {
		b.WriteString(" " + a)
	}
	for _, k := range slices.Sorted(maps.Keys(urls)) {
		b.WriteString(" " + k + "=" + urls[k])
	}
	b.WriteByte('\n')
	if _, err := io.WriteString(e.console, b.String()); err != nil {
		return fmt.Errorf("guest: console: %w", err)
	}
	err := e.Control.Send(control.Message{Type: control.TypeReady, Ready: &control.Ready{
		Addresses: addresses, URLs: urls, Data: data, Uptime: time.Since(e.boot),
	}})
	if err != nil {
		e.Logger.Warn("ready, but the host does not know", "error", err)
	}
	return nil
}

// Fatal is an error that ends the machine with a message for people and what
// they can do. A server returns it (or wraps it) to have both shown.
type Fatal struct {
	Message string
	Remedy  string
}

// Error returns both parts in one line.
func (f *Fatal) Error() string {
	if f.Remedy == "" {
		return f.Message
	}
	return f.Message + "; " + f.Remedy
}
