package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Causes of a machine's end, found with errors.Is in what Start and Wait return.
var (
	// ErrAccelerator: the accelerator failed, not the guest. Another attempt
	// with TCG can succeed.
	ErrAccelerator = errors.New("the accelerator cannot run this guest")
	// ErrGuestDied: the guest's kernel panicked or reset the machine.
	ErrGuestDied = errors.New("the guest died")
	// ErrPortInUse: a forwarded port of the host is taken.
	ErrPortInUse = errors.New("port is in use")
	// ErrMemory: the host or the guest has too little memory.
	ErrMemory = errors.New("too little memory")
	// ErrKilled: this process ended the machine without the guest's consent.
	ErrKilled = errors.New("the machine was killed")
	// ErrEmulator: QEMU ended for another reason.
	ErrEmulator = errors.New("QEMU failed")
)

// consoleLines is how much of the console an error shows.
const consoleLines = 12

// ExitError says why a machine ended that should not have.
type ExitError struct {
	Cause   error    // one of this package's errors
	Detail  string   // what QEMU or the guest said of it
	Remedy  string   // what a person can do; may be empty
	Console []string // last lines of the serial console
}

// Error returns one paragraph, and the console's last lines indented below it.
func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "qemu: %v", e.Cause)
	for _, s := range []string{e.Detail, e.Remedy} {
		if s != "" {
			b.WriteString("; " + s)
		}
	}
	if len(e.Console) > 0 {
		b.WriteString("; the console says:")
		for _, l := range e.Console {
			b.WriteString("\n  | " + l)
		}
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Cause }

// symptom ties a text in QEMU's or the guest's output to what it means.
type symptom struct {
	text   string
	cause  error
	remedy string
}

// emulatorSymptoms are looked for in QEMU's error output, first match first.
var emulatorSymptoms = []symptom{
	{"Could not set up host forwarding rule", ErrPortInUse, "stop the program that uses it or publish on another port"},
	{`Failed to get "write" lock`, ErrDiskInUse, "stop the machine that uses it or use another disk"},
	{"Cannot allocate memory", ErrMemory, "close other programs or give the machine less memory"},
	{"cannot set up guest memory", ErrMemory, "close other programs or give the machine less memory"},
	{"KVM kernel module", ErrAccelerator, "start it with TCG"},
	{"failed to initialize kvm", ErrAccelerator, "start it with TCG"},
	{"/dev/net/tun", ErrEmulator, "create the TAP interface for your user first (sudo ip tuntap add NAME mode tap user $USER), or choose a network that needs no TAP"},
	{"ifname", ErrEmulator, "check the TAP interface's name and owner"},
	{"netdev backend type", ErrEmulator, "this QEMU is too old for the stream network; install 7.2 or newer, or use the user network"},
	{"Parameter 'type'", ErrEmulator, "this QEMU is too old for the stream network; install 7.2 or newer, or use the user network"},
	{"kernel file", ErrEmulator, "check that the kernel is a readable bzImage"},
	{"kernel too old", ErrEmulator, "check that the kernel is a readable bzImage"},
	{"could not load kernel", ErrEmulator, "check that the kernel is a readable bzImage"},
	{"failed to set MSR", ErrAccelerator, "start it with TCG"},
	{"kvm", ErrAccelerator, "start it with TCG"}, // whatever else it says of it, an assertion in kvm.c for one
	{"Machine type", ErrEmulator, "this QEMU emulates no q35 machine; install qemu-system-x86_64"},
}

// consoleSymptoms are looked for on the guest's console.
var consoleSymptoms = []symptom{
	{"Initramfs unpacking failed", ErrGuestDied, "the initramfs is cut off or the guest has too little memory: build the image again, or give the machine more memory"},
	{"Failed to execute /init", ErrGuestDied, "the initramfs is cut off or its program is for another machine: build the image again"},
	{"Unable to mount root fs", ErrGuestDied, "the initramfs holds no /init or is cut off: build the image again"},
	{"IO-APIC + timer doesn't work", ErrGuestDied, "the host was too busy at a bad moment: start it again, or boot the kernel with no_timer_check"},
	{"System is deadlocked on memory", ErrMemory, "give the machine more memory"},
	{"Out of memory", ErrMemory, "give the machine more memory"},
	{"out of memory", ErrMemory, "give the machine more memory"},
	{"Attempted to kill init", ErrGuestDied, "the program in the guest crashed; its last words are on the console"},
}

// match returns the first symptom found in text, and the line that has it.
func match(in []symptom, text string) (symptom, string, bool) {
	for _, s := range in {
		for line := range strings.Lines(text) {
			if strings.Contains(line, s.text) {
				return s, strings.TrimSpace(line), true
			}
		}
	}
	return symptom{}, "", false
}

// emulatorFailure explains QEMU's error output.
func emulatorFailure(stderr, status string) *ExitError {
	stderr = strings.TrimSpace(stderr)
	if s, line, ok := match(emulatorSymptoms, stderr); ok {
		return &ExitError{Cause: s.cause, Detail: line, Remedy: s.remedy}
	}
	if stderr == "" {
		stderr = "it ended with " + status
	}
	return &ExitError{Cause: ErrEmulator, Detail: stderr}
}

// guestFailure explains a console.
func guestFailure(console []byte) *ExitError {
	e := &ExitError{Cause: ErrGuestDied, Detail: "its kernel panicked or asked for a reset", Console: lastLines(console)}
	s, line, ok := match(consoleSymptoms, string(console))
	if !ok {
		return e
	}
	e.Cause, e.Detail, e.Remedy = s.cause, line, s.remedy
	// The kernel's registers and call trace help nobody.
	at := bytes.Index(console, []byte("Kernel panic - not syncing"))
	if at < 0 {
		return e
	}
	said := console[:bytes.LastIndexByte(console[:at], '\n')+1] // without the kernel's time stamp
	e.Console = lastLines(said)
	if crash := goCrash(said); crash != nil {
		e.Detail, e.Console = crash[0], crash[:min(len(crash), consoleLines)]
	}
	return e
}

// goCrash returns what a Go program that crashed said, from its first word on;
// nil when none did.
func goCrash(said []byte) []string {
	for _, word := range []string{"panic: ", "fatal error: "} {
		if bytes.HasPrefix(said, []byte(word)) {
			return allLines(said)
		}
		if i := bytes.Index(said, []byte("\n"+word)); i >= 0 {
			return allLines(said[i:])
		}
	}
	return nil
}

// lastLines returns the last lines that are not empty, as text.
func lastLines(console []byte) []string {
	all := allLines(console)
	return all[max(0, len(all)-consoleLines):]
}

// allLines returns the lines that are not empty, as text.
func allLines(console []byte) []string {
	var out []string
	for line := range bytes.Lines(console) {
		s := strings.TrimRight(strings.ToValidUTF8(string(line), "?"), "\r\n \t")
		s = strings.Map(printable, s)
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// printable drops control characters, so that a guest cannot command the terminal.
func printable(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return -1
	}
	return r
}

// tail reads at most the last 64 KiB of the file at path; nothing if it cannot.
func tail(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const most = 64 << 10
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return nil
		}
	}
	b, _ := io.ReadAll(io.LimitReader(f, most)) // whatever could be read
	return b
}

// bounded keeps the first octets written to it and forgets the rest.
type bounded struct {
	mu sync.Mutex
	b  []byte
}

func (w *bounded) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	const most = 16 << 10
	w.b = append(w.b, p[:min(len(p), max(0, most-len(w.b)))]...)
	return len(p), nil
}

func (w *bounded) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}
