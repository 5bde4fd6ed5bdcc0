package main

import (
	"strings"
	"time"

	"arpeggio/internal/cli"
	"arpeggio/vcs"
)

// commitJSON is a commit for programs.
type commitJSON struct {
	Commit   string            `json:"commit"`
	Parents  []string          `json:"parents"`
	Author   string            `json:"author"`
	Email    string            `json:"email"`
	Time     time.Time         `json:"time"`
	Subject  string            `json:"subject"`
	Body     string            `json:"body,omitempty"`
	Trailers map[string]string `json:"trailers,omitempty"` // the first of each name
	Refs     []string          `json:"refs,omitempty"`
	Evidence *evidenceJSON     `json:"evidence,omitempty"` // of show
}

func toJSON(c *vcs.Commit, refs []string) commitJSON {
	j := commitJSON{
		Commit: c.ID.String(), Parents: []string{}, Author: c.Author.Name, Email: c.Author.Email,
		Time: c.Time().UTC(), Subject: c.Subject(), Refs: refs,
	}
	for _, p := range c.Parents {
		j.Parents = append(j.Parents, p.String())
	}
	_, body, _ := strings.Cut(c.Message, "\n")
	j.Body = strings.TrimSpace(body)
	for _, t := range c.Trailers() {
		if j.Trailers == nil {
			j.Trailers = make(map[string]string)
		}
		if _, ok := j.Trailers[t.Key]; !ok {
			j.Trailers[t.Key] = t.Value
		}
	}
	return j
}

// line is a commit in one line.
func (s *session) line(c *vcs.Commit, refs []string) string {
	o := s.out
	text := o.Paint(cli.ID, c.ID.Short()) + " " + s.clock(c.Time()) + " " + cli.Clean(c.Author.Name, false)
	if len(refs) > 0 {
		text += " " + o.Paint(cli.Ref, "("+cli.Clean(strings.Join(refs, ", "), false)+")")
	}
	return text + " " + cli.Clean(c.Subject(), false)
}

// full is a commit as git log prints it, line by line.
func (s *session) full(c *vcs.Commit, refs []string) []string {
	o := s.out
	head := o.Paint(cli.ID, "commit "+c.ID.String())
	if len(refs) > 0 {
		head += " " + o.Paint(cli.Ref, "("+cli.Clean(strings.Join(refs, ", "), false)+")")
	}
	lines := []string{head}
	if len(c.Parents) > 1 {
		merge := "Merge:"
		for _, p := range c.Parents {
			merge += " " + p.Short()
		}
		lines = append(lines, merge)
	}
	lines = append(lines, "Author: "+cli.Clean(c.Author.String(), false))
	if c.Author.String() != c.Committer.String() {
		lines = append(lines, "Commit: "+cli.Clean(c.Committer.String(), false))
	}
	lines = append(lines, "Date:   "+s.clock(c.Time()), "")
	for l := range strings.Lines(cli.Clean(strings.TrimRight(c.Message, "\n"), true)) {
		lines = append(lines, strings.TrimRight("    "+l, " \n"))
	}
	return append(lines, "")
}
