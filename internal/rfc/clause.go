package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// document is an RFC with its clauses, in the order of its file.
type document struct {
	number  int
	title   string
	note    string // what the reader has to know about the list
	clauses []*clause

	counted  bool // all keywords of the text stand below
	keywords []keyword
	asides   []aside
}

// clause is one thing that an RFC asks for.
type clause struct {
	rfc     int
	id      string // the RFC's own number, such as MUST-15, or a name of ours
	level   string // MUST, SHOULD or MAY
	section string
	text    string // what it asks for, in our words
	not     string // why it is not done; never for a MUST
	missing string // what has to be built for a SHOULD or a MAY; only until it is
	instead string // what a later standard or this project puts in its place, which the tests prove
	edits   []edit // how it is disabled

	keywords []string // names of those that it stands for
	marks    []mark   // the tests that prove it
	line     string   // where it stands, for errors
}

// name is how errors and -only call the clause.
func (c *clause) name() string { return fmt.Sprintf("RFC %d %s", c.rfc, c.id) }

// edit replaces text that a source file has exactly once.
type edit struct {
	file     string
	old, new []string // lines; indentation does not count
}

var (
	titleLine  = regexp.MustCompile(`^# RFC (\d+) (.+)$`)
	clauseLine = regexp.MustCompile(`^(\S+) (MUST|SHOULD|MAY) (§\S+|-)$`)
)

// readDocument reads a file of clauses. Its form:
//
//	# RFC 9293 Transmission Control Protocol (TCP)
//	A remark or two for the reader of the page.
//
//	MUST-15 MUST §3.7.1
//	  Without an MSS option the peer takes 536 octets.
//	  in stack/tcp/config.go
//	  - defaultMSS            = 536
//	  + defaultMSS            = 1460
//
//	MAY-14 MAY §3.9.1.7
//	  A call that flushes the send queue.
//	  not: nobody asks for it; Write hands over at once
//
// Where the whole text of the RFC was read, the head counts its keywords, each
// clause names those it stands for, and the head those that ask nothing of us:
//
//	keywords §3.2: MUST SHOULD MUST
//	aside §3.2/3: is about routers
//
//	answer MUST §3.2
//	  Each question is answered at once.
//	  keywords §3.2/1 §3.2/2
//
// A lone + deletes. Several edits of a clause, also of one file, are made
// together. "missing: …" instead of an edit says that the code has yet to be
// written. "instead: …" before the edits says what has taken the clause's place,
// a later standard or an order to this project; tests and edits are then about
// that.
func readDocument(path string) (*document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &document{}
	var c *clause
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimRight(sc.Text(), " ")
		at := fmt.Sprintf("%s:%d", filepath.Base(path), n)
		switch {
		case n == 1:
			m := titleLine.FindStringSubmatch(line)
			if m == nil {
				return nil, fmt.Errorf("%s: want a first line like %q", at, "# RFC 9293 Transmission Control Protocol")
			}
			d.number, _ = strconv.Atoi(m[1])
			d.title = m[2]
		case line == "":
		case strings.HasPrefix(line, "  "):
			if c == nil {
				return nil, fmt.Errorf("%s: no clause to belong to", at)
			}
			if err := c.add(strings.TrimSpace(line)); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		case len(d.clauses) == 0 && strings.HasPrefix(line, "keywords "):
			if err := d.addKeywords(line); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		case len(d.clauses) == 0 && strings.HasPrefix(line, "aside "):
			if err := d.addAside(line, at); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		case len(d.clauses) == 0 && !clauseLine.MatchString(line):
			d.note = join(d.note, line)
		default:
			m := clauseLine.FindStringSubmatch(line)
			if m == nil {
				return nil, fmt.Errorf("%s: want NAME MUST|SHOULD|MAY §SECTION, or a line of a clause that begins with two spaces", at)
			}
			c = &clause{rfc: d.number, id: m[1], level: m[2], section: strings.TrimPrefix(m[3], "§"), line: at}
			if slices.ContainsFunc(d.clauses, func(o *clause) bool { return o.id == c.id }) {
				return nil, fmt.Errorf("%s: %s stands here twice", at, c.name())
			}
			d.clauses = append(d.clauses, c)
		}
	}
	return d, sc.Err()
}

// add takes one line of a clause's body.
func (c *clause) add(line string) error {
	last := len(c.edits) - 1
	switch {
	case strings.HasPrefix(line, "keywords §") && last < 0:
		return c.addKeywords(strings.Fields(line)[1:])
	case strings.HasPrefix(line, "in "):
		c.edits = append(c.edits, edit{file: strings.TrimPrefix(line, "in ")})
	case strings.HasPrefix(line, "- ") && last >= 0:
		if e := &c.edits[last]; len(e.new) > 0 {
			c.edits = append(c.edits, edit{file: e.file, old: []string{strings.TrimSpace(line[2:])}})
		} else {
			e.old = append(e.old, strings.TrimSpace(line[2:]))
		}
	case (line == "+" || strings.HasPrefix(line, "+ ")) && last >= 0 && len(c.edits[last].old) > 0:
		c.edits[last].new = append(c.edits[last].new, strings.TrimSpace(line[1:]))
	case strings.HasPrefix(line, "not: "):
		c.not = strings.TrimPrefix(line, "not: ")
	case strings.HasPrefix(line, "missing: "):
		c.missing = strings.TrimPrefix(line, "missing: ")
	case strings.HasPrefix(line, "instead: "):
		c.instead = strings.TrimPrefix(line, "instead: ")
	case last >= 0:
		return fmt.Errorf("%s: behind \"in FILE\" come lines that begin with - and then lines that begin with +, not %q", c.name(), line)
	case c.not != "":
		c.not = join(c.not, line)
	case c.missing != "":
		c.missing = join(c.missing, line)
	case c.instead != "":
		c.instead = join(c.instead, line)
	default:
		c.text = join(c.text, line)
	}
	return nil
}

func join(a, b string) string { return strings.TrimSpace(a + " " + b) }

// sortDocuments puts the RFCs that the others build on first: TCP, hosts, then
// by number.
func sortDocuments(docs []*document) {
	rank := func(d *document) int {
		switch d.number {
		case 9293:
			return 0
		case 1122:
			return 1
		}
		return d.number
	}
	slices.SortFunc(docs, func(a, b *document) int { return cmp.Compare(rank(a), rank(b)) })
}
