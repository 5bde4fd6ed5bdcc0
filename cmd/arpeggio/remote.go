package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"arpeggio/internal/cli"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

// remoteFlags say how to reach a remote, and what to remember of it.
type remoteFlags struct {
	Name string `default:"origin" placeholder:"NAME" help:"What the remote's branches are remembered under, as refs/remotes/NAME/… (${default})."`
	authFlags
}

// authFlags say who asks a remote.
type authFlags struct {
	User         string `placeholder:"NAME" help:"The user for http and https, unless the URL names one."`
	PasswordFile string `xor:"secret" placeholder:"FILE" type:"path" help:"Holds the password for http and https."`
	TokenFile    string `xor:"secret" placeholder:"FILE" type:"path" help:"Holds a bearer token for http and https."`
	SSHKey       string `name:"ssh-key" placeholder:"FILE" type:"path" help:"A private key without passphrase. Default: what the SSH agent has."`
}

// options reads the secrets. Words of the remote go to progress.
func (f *remoteFlags) options(progress io.Writer) (gitremote.RemoteOptions, error) {
	if err := vcs.CheckRefName("refs/remotes/" + f.Name + "/x"); err != nil {
		return gitremote.RemoteOptions{}, usagef("--name %s: not a name for a remote", f.Name)
	}
	return f.authFlags.options(progress)
}

func (f *authFlags) options(progress io.Writer) (gitremote.RemoteOptions, error) {
	o := gitremote.RemoteOptions{Username: f.User, SSHKeyFile: f.SSHKey, Progress: progress}
	for _, s := range []struct {
		flag, file string
		to         *string
	}{{"--password-file", f.PasswordFile, &o.Password}, {"--token-file", f.TokenFile, &o.BearerToken}} {
		if s.file == "" {
			continue
		}
		b, err := os.ReadFile(s.file)
		if err != nil {
			return o, fmt.Errorf("%s: %w", s.flag, err)
		}
		*s.to, _, _ = strings.Cut(string(b), "\n")
		if *s.to = strings.TrimSpace(*s.to); *s.to == "" {
			return o, fmt.Errorf("%s %s: its first line is empty", s.flag, s.file)
		}
	}
	return o, nil
}

// explain adds the remedy to an error of a remote.
func (f *authFlags) explain(err error) error {
	var refused *gitremote.RejectedError
	switch {
	case errors.As(err, &refused):
		for _, r := range refused.Refs {
			switch r.Reason {
			case "fetch first", "non-fast-forward":
				if !strings.HasPrefix(r.Ref, "refs/remotes/") {
					return withHint(err, "both sides have gone on: arpeggio pull joins them; a + before the name overwrites")
				}
			case "stale info":
				return withHint(err, "somebody else has moved it since: arpeggio fetch, look at it, and try again")
			}
		}
	case errors.Is(err, gitremote.ErrPermission):
		return withHint(err, "give a user and a password in the URL, with --user and --password-file, or --token-file; over ssh with --ssh-key")
	case errors.Is(err, gitremote.ErrRefspec):
		return usageError{err}
	}
	return err
}

// refChange is what became of one ref, for printing.
type refChange struct {
	vcs.RefUpdate
	From   string // the ref that it was to follow
	Shown  string // the ref that moves, in short
	Forced bool
	Err    *gitremote.RefError
}

// refChangeJSON is a refChange for programs.
type refChangeJSON struct {
	Did    string `json:"did"` // created, fast-forward, forced, deleted, up to date, rejected
	Ref    string `json:"ref,omitempty"`
	From   string `json:"from,omitempty"`
	Old    string `json:"old,omitempty"`
	New    string `json:"new,omitempty"`
	Reason string `json:"reason,omitempty"`
	Remote bool   `json:"remote,omitempty"` // the reason is the remote's
}

func (c *refChange) did() string {
	switch {
	case c.Err != nil:
		return "rejected"
	case c.Old == c.New:
		return "up to date"
	case c.Old.IsZero():
		return "created"
	case c.New.IsZero():
		return "deleted"
	case c.Forced:
		return "forced"
	}
	return "fast-forward"
}

func (c *refChange) json() refChangeJSON {
	j := refChangeJSON{Did: c.did(), Ref: c.Name, From: c.From}
	if !c.Old.IsZero() {
		j.Old = c.Old.String()
	}
	if !c.New.IsZero() {
		j.New = c.New.String()
	}
	if c.Err != nil {
		j.Reason, j.Remote = c.Err.Reason, c.Err.Remote
	}
	return j
}

// row is the line that git prints.
func (c *refChange) row() []cli.Cell {
	mark, style, what, why := " ", cli.Plain, c.Old.Short()+".."+c.New.Short(), ""
	switch c.did() {
	case "rejected":
		mark, style, what, why = "!", cli.Removed, "[rejected]", c.Err.Reason
		if c.Err.Remote {
			what = "[remote rejected]"
		}
	case "up to date":
		mark, what = "=", "[up to date]"
	case "created":
		mark, style, what = "*", cli.Added, "[new "+kindOf(c.Name)+"]"
	case "deleted":
		mark, style, what = "-", cli.Removed, "[deleted]"
	case "forced":
		mark, style, what, why = "+", cli.Changed, c.Old.Short()+"..."+c.New.Short(), "forced update"
	}
	text := shortRef(c.From) + " -> " + c.Shown
	switch {
	case c.From == "":
		text = c.Shown
	case c.Shown == "":
		text = shortRef(c.From)
	}
	if why != "" {
		why = "(" + cli.Clean(why, false) + ")"
	}
	return []cli.Cell{{Text: " " + mark + " " + what, Style: style}, {Text: cli.Clean(text, false)}, {Text: why, Style: cli.Faint}}
}

// kindOf names what a ref is.
func kindOf(ref string) string {
	switch {
	case strings.HasPrefix(ref, "refs/tags/"):
		return "tag"
	case strings.HasPrefix(ref, "refs/heads/"), strings.HasPrefix(ref, "refs/remotes/"):
		return "branch"
	}
	return "ref"
}

// shortRef leaves out what people take for granted.
func shortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/remotes/"} {
		if short, ok := strings.CutPrefix(ref, prefix); ok {
			return short
		}
	}
	return ref
}

// printChanges prints what became of refs: for people what is worth a line, and
// nothing where nothing was to do.
func (s *session) printChanges(title string, changes []refChange, nothing string) {
	var t cli.Columns
	for _, c := range changes {
		if s.out.IsJSON() {
			s.out.JSON(c.json())
		} else if c.did() != "up to date" {
			t.Row(c.row()...)
		}
	}
	switch {
	case s.out.IsJSON():
	case t.Len() > 0:
		s.out.Printf("%s\n", title)
		t.Print(s.out)
	default:
		s.out.Printf("%s\n", nothing)
	}
}

// remoteWords passes on what a remote says, marked as its words, a line at a
// time.
type remoteWords struct {
	to   io.Writer
	line bytes.Buffer
}

// Write implements io.Writer.
func (w *remoteWords) Write(b []byte) (int, error) {
	for _, c := range b {
		if c != '\n' && c != '\r' {
			if w.line.Len() < 1000 {
				w.line.WriteByte(c)
			}
			continue
		}
		w.flush(string(c))
	}
	return len(b), nil
}

func (w *remoteWords) flush(end string) {
	if w.line.Len() > 0 {
		fmt.Fprintf(w.to, "remote: %s%s", cli.Clean(w.line.String(), false), end)
	}
	w.line.Reset()
}
