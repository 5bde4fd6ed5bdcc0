package vcs

import (
	"bytes"
	"strings"
	"time"
)

// appendCommitHead writes the part of a commit object that the log does not
// keep as text.
func appendCommitHead(b []byte, tree ID, parents []ID) []byte {
	b = append(b, "tree "...)
	b = appendHex(b, tree)
	for _, p := range parents {
		b = append(b, "\nparent "...)
		b = appendHex(b, p)
	}
	return append(b, '\n')
}

// people joins author and committer to one text.
func people(c *Commit) string {
	return strings.Join([]string{c.Author.Name, c.Author.Email, c.Committer.Name, c.Committer.Email}, "\x00")
}

func splitPeople(s string, seconds int64) (author, committer Signature) {
	var part [4]string
	for i := range part {
		part[i], s, _ = strings.Cut(s, "\x00")
	}
	when := time.Unix(seconds, 0).UTC()
	return Signature{part[0], part[1], when}, Signature{part[2], part[3], when}
}

// plainHead reports whether a commit is made of people, one time and a message
// alone, so that its text can be made again from them.
func plainHead(c *Commit, content []byte) bool {
	if len(c.Extra) > 0 {
		return false
	}
	d := *c
	d.Author, d.Committer = splitPeople(people(c), c.Committer.When.Unix())
	return bytes.Equal(d.Encode(make([]byte, 0, len(content))), content)
}

// rawTime reads the committer's time out of a commit's text, 0 when there is
// none.
func rawTime(text []byte) int64 {
	for line := range bytes.Lines(text) {
		if who, ok := bytes.CutPrefix(line, []byte("committer ")); ok {
			if s, err := parseSignature(bytes.TrimSuffix(who, []byte("\n"))); err == nil {
				return s.When.Unix()
			}
			break
		}
	}
	return 0
}
