package cli

import (
	"os"
	"os/exec"
	"strings"
)

// Page sends what follows through a pager when a person reads it on a terminal.
// Which one: $ARPEGGIO_PAGER, $GIT_PAGER, git's core.pager, $PAGER, less, the
// first that is set; cat, or an empty one, is none. Like git it lets less quit
// on a short text, pass colours on and leave the screen alone.
func (o *Output) Page() {
	if !o.tty || o.cfg.JSON || o.cfg.NoPager || o.pager != nil || o.err != nil {
		return
	}
	command := pagerCommand(o.cfg.LookupEnv, gitPager)
	if command == "" || command == "cat" {
		return
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr = o.cfg.Stdout, o.cfg.Stderr
	cmd.Env = os.Environ()
	for name, value := range map[string]string{"LESS": "FRX", "LV": "-c"} {
		if _, set := o.cfg.LookupEnv(name); !set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	if cmd.Start() != nil {
		pipe.Close()
		return
	}
	o.Flush()
	o.pager, o.pipe = cmd, pipe
	o.buf.Reset(pipe)
}

// pagerCommand chooses the pager.
func pagerCommand(env func(string) (string, bool), git func() (string, bool)) string {
	for _, name := range []string{"ARPEGGIO_PAGER", "GIT_PAGER"} {
		if p, set := env(name); set {
			return p
		}
	}
	if p, set := git(); set {
		return p
	}
	if p, set := env("PAGER"); set {
		return p
	}
	if _, err := exec.LookPath("less"); err != nil {
		return "" // a pager that is not there would eat the output
	}
	return "less"
}

// gitPager asks git, where it is installed, for core.pager.
func gitPager() (string, bool) {
	out, err := exec.Command("git", "config", "--get", "core.pager").Output()
	return strings.TrimSpace(string(out)), err == nil
}
