package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Emulator is the program's name.
const Emulator = "qemu-system-x86_64"

// ErrNotInstalled is in FindBinary's error.
var ErrNotInstalled = errors.New("QEMU is not installed")

// FindBinary finds the emulator in PATH. When it is missing, the error tells
// the command that installs it here.
func FindBinary() (string, error) {
	path, err := exec.LookPath(Emulator)
	if err == nil {
		return path, nil
	}
	if cmd := InstallCommand(); cmd != "" {
		return "", fmt.Errorf("qemu: %w (no %s in PATH); install it with: %s", ErrNotInstalled, Emulator, cmd)
	}
	return "", fmt.Errorf("qemu: %w (no %s in PATH); install it from https://www.qemu.org/download/", ErrNotInstalled, Emulator)
}

// installer is a package manager and the commands with which it installs the
// emulator for x86-64 guests without asking questions.
type installer struct {
	manager  string // the program that shows that this is the one
	commands []string
	root     bool // whether they must run as root
}

// installers in the order of preference; Homebrew last, because on Linux the
// system's own is better.
var installers = []installer{
	{"apt-get", []string{"apt-get update", "apt-get install -y --no-install-recommends qemu-system-x86"}, true},
	{"dnf", []string{"dnf install -y qemu-system-x86-core"}, true},
	{"pacman", []string{"pacman -Sy --noconfirm qemu-system-x86"}, true},
	{"apk", []string{"apk add qemu-system-x86_64"}, true},
	{"zypper", []string{"zypper --non-interactive install qemu-x86"}, true},
	{"brew", []string{"brew install qemu"}, false},
}

// InstallCommand returns the shell command that installs the emulator on this
// system, with sudo where root is needed and this process is not, or "" when no
// known package manager is found.
func InstallCommand() string {
	return installCommand(inPath, os.Getuid() == 0, "sudo ")
}

func inPath(name string) bool { _, err := exec.LookPath(name); return err == nil }

func installCommand(has func(string) bool, root bool, sudo string) string {
	for _, i := range installers {
		if !has(i.manager) {
			continue
		}
		if !i.root || root {
			sudo = ""
		}
		return sudo + strings.Join(i.commands, " && "+sudo)
	}
	return ""
}

// Install installs the emulator with this system's package manager when that is
// possible without a password; what the package manager says goes to output.
// When it is not possible, the error tells the command to type.
func Install(ctx context.Context, output io.Writer) error {
	by := InstallCommand()
	command := installCommand(inPath, os.Getuid() == 0, "sudo -n ")
	if command == "" {
		return fmt.Errorf("qemu: no known package manager here; install %s from https://www.qemu.org/download/", Emulator)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("qemu: installing QEMU fails (%w); type: %s", err, by)
	}
	_, err := FindBinary()
	return err
}

// Version is an emulator's version.
type Version struct{ Major, Minor, Micro int }

// String returns the version as QEMU writes it.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro) }

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// StreamNet reports whether the emulator has the stream network backend.
func (v Version) StreamNet() bool { return v.AtLeast(7, 2) }

var versionLine = regexp.MustCompile(`version (\d+)\.(\d+)\.(\d+)`)

// QueryVersion asks the emulator at path for its version.
func QueryVersion(ctx context.Context, path string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Version{}, fmt.Errorf("qemu: %s --version: %w", path, err)
	}
	return parseVersion(string(out))
}

func parseVersion(s string) (Version, error) {
	m := versionLine.FindStringSubmatch(s)
	if m == nil {
		return Version{}, fmt.Errorf("qemu: no version in %q", s)
	}
	var v Version
	for i, p := range []*int{&v.Major, &v.Minor, &v.Micro} {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return Version{}, fmt.Errorf("qemu: version in %q: %w", s, err)
		}
		*p = n
	}
	return v, nil
}
