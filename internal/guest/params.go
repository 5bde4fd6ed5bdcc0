package guest

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// paramPrefix starts each of our words on the kernel's command line. The kernel
// takes a dotted word for the parameter of an absent module and leaves it alone.
const paramPrefix = "arpeggio."

// DataPolicy says what the guest does about a data disk.
type DataPolicy uint8

const (
	DataAuto     DataPolicy = iota // mount it when there is one
	DataRequired                   // refuse to run without one
	DataNone                       // leave it alone
)

var dataPolicies = [...]string{"auto", "required", "none"}

// Params are what the host tells the guest on the kernel's command line, each
// as a word "arpeggio.NAME=VALUE". The zero value of a field is not written.
type Params struct {
	Size     int64     // arpeggio.size: octets of the guest's binary
	SHA256   [32]byte  // arpeggio.sha256: of the guest's binary, in hexadecimal
	Complete string    // arpeggio.complete: a file that exists when the initramfs was unpacked whole
	Time     time.Time // arpeggio.time: the host's clock in Unix seconds; the guest's is never earlier

	Address netip.Prefix // arpeggio.ip: of the card; invalid means DHCP
	Gateway netip.Addr   // arpeggio.gateway
	Data    DataPolicy   // arpeggio.data: auto, required or none
	Debug   bool         // arpeggio.debug=1: verbose log

	// Extra holds all other words by name, for the server.
	Extra map[string]string
}

// kernelWords are for every guest.
//
//   - console=ttyS0 quiet: the serial console, and only what is wrong.
//   - panic=-1: reset at once, which ends a machine that may not reboot.
//   - ipv6.disable=1: no word of the kernel's own on the wire.
//   - no_timer_check: the kernel counts timer interrupts against its own delay
//     loop and panics ("IO-APIC + timer doesn't work!") when an emulator on a
//     busy host was not scheduled for a moment. KVM guests skip it by themselves.
//   - sysctl.vm.overcommit_memory=1: the Go runtime reserves more address space
//     than a small machine has memory.
const kernelWords = "console=ttyS0 quiet panic=-1 ipv6.disable=1 no_timer_check sysctl.vm.overcommit_memory=1"

// Cmdline returns the whole command line for the guest's kernel.
func (p Params) Cmdline() string { return kernelWords + " " + p.String() }

// String returns p as words for the kernel's command line. A value with a space
// is quoted; Check finds values that the kernel's command line cannot carry.
func (p Params) String() string {
	var w []string
	add := func(name, value string) {
		if strings.ContainsRune(value, ' ') {
			value = `"` + value + `"`
		}
		w = append(w, paramPrefix+name+"="+value)
	}
	if p.Size != 0 {
		add("size", strconv.FormatInt(p.Size, 10))
	}
	if p.SHA256 != [32]byte{} {
		add("sha256", hex.EncodeToString(p.SHA256[:]))
	}
	if p.Complete != "" {
		add("complete", p.Complete)
	}
	if !p.Time.IsZero() {
		add("time", strconv.FormatInt(p.Time.Unix(), 10))
	}
	if p.Address.IsValid() {
		add("ip", p.Address.String())
	}
	if p.Gateway.IsValid() {
		add("gateway", p.Gateway.String())
	}
	if p.Data != DataAuto {
		add("data", dataPolicies[p.Data])
	}
	if p.Debug {
		add("debug", "1")
	}
	for _, k := range slices.Sorted(maps.Keys(p.Extra)) {
		add(k, p.Extra[k])
	}
	return strings.Join(w, " ")
}

// Check reports a parameter that would not survive the kernel's command line.
func (p Params) Check() error {
	for k, v := range p.Extra {
		if k == "" || strings.Trim(k, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fmt.Errorf("guest: parameter name %q: use lower-case letters, digits, - and _", k)
		}
		if strings.ContainsFunc(v, func(r rune) bool { return r == '"' || r < ' ' || r > '~' }) {
			return fmt.Errorf("guest: parameter %s: value %q has a character that the kernel's command line cannot carry", k, v)
		}
	}
	q, err := ParseParams(p.String())
	if err == nil && q.String() != p.String() {
		err = fmt.Errorf("guest: parameters %q do not survive the kernel's command line", p.String())
	}
	return err
}

// ParseParams reads our words from a kernel command line and skips all others.
// A later word replaces an earlier one of the same name.
func ParseParams(cmdline string) (Params, error) {
	var p Params
	for _, word := range splitCmdline(cmdline) {
		name, ok := strings.CutPrefix(word, paramPrefix)
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(name, "=")
		if err := p.set(name, value); err != nil {
			return p, fmt.Errorf("guest: kernel command line: %s%s=%s: %w", paramPrefix, name, value, err)
		}
	}
	return p, nil
}

func (p *Params) set(name, value string) (err error) {
	switch name {
	case "size":
		if p.Size, err = strconv.ParseInt(value, 10, 64); err == nil && p.Size <= 0 {
			err = fmt.Errorf("must be positive")
		}
	case "sha256":
		b, herr := hex.DecodeString(value)
		if herr != nil || len(b) != len(p.SHA256) {
			return fmt.Errorf("must be 64 hexadecimal digits")
		}
		p.SHA256 = [32]byte(b)
	case "complete":
		p.Complete = value
	case "time":
		var s int64
		s, err = strconv.ParseInt(value, 10, 64)
		p.Time = time.Unix(s, 0)
	case "ip":
		p.Address, err = netip.ParsePrefix(value)
	case "gateway":
		p.Gateway, err = netip.ParseAddr(value)
	case "data":
		i := slices.Index(dataPolicies[:], value)
		if i < 0 {
			return fmt.Errorf("must be one of %s", strings.Join(dataPolicies[:], ", "))
		}
		p.Data = DataPolicy(i)
	case "debug":
		p.Debug, err = strconv.ParseBool(value)
	default:
		if p.Extra == nil {
			p.Extra = map[string]string{}
		}
		p.Extra[name] = value
	}
	return err
}

// splitCmdline splits at spaces outside double quotes and drops the quotes, as
// the kernel does (lib/cmdline.c, next_arg).
func splitCmdline(s string) []string {
	var words []string
	var w strings.Builder
	quoted, any := false, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case !quoted && (r == ' ' || r == '\t' || r == '\n'):
			if any {
				words = append(words, w.String())
			}
			w.Reset()
			any = false
		default:
			w.WriteRune(r)
			any = true
		}
	}
	if any {
		words = append(words, w.String())
	}
	return words
}
