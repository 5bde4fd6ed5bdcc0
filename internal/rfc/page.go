package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// render writes docs/rfc-coverage.md.
func render(docs []*document, cited []citation) []byte {
	var b bytes.Buffer
	b.WriteString(`# What the RFCs ask for, and which test proves it

Made by ` + "`make rfc-coverage`" + ` from the clauses in ` + "`internal/rfc/clauses`" + ` and from the marks above the tests (` + "`//rfc:9293 MUST-15`" + `);
` + "`make test`" + ` fails when this page is not what they say. A mark counts only if the test fails without the clause's code: beside
each clause stands an edit of the sources that disables it, and ` + "`make mutants`" + ` (a part of ` + "`make soak`" + `) makes each of them and wants
every test named here to fail. A reason stands only beside a SHOULD or a MAY; a MUST is proven. What a clause asks for is said
in our words; below § stands the RFC's section.

`)
	b.WriteString(wholeness(docs))
	b.WriteString("\n| RFC | keywords | MUST | SHOULD | MAY |\n|---|---|---|---|---|\n")
	total := map[string]*tally{}
	for _, d := range docs {
		t := map[string]*tally{}
		for _, c := range d.clauses {
			for _, m := range []map[string]*tally{t, total} {
				if m[c.level] == nil {
					m[c.level] = new(tally)
				}
				m[c.level].count(c)
			}
		}
		fmt.Fprintf(&b, "| [RFC %d](#rfc-%d) %s | %s | %s | %s | %s |\n", d.number, d.number, d.title, d.count(), t["MUST"], t["SHOULD"], t["MAY"])
	}
	fmt.Fprintf(&b, "| all | | %s | %s | %s |\n", total["MUST"], total["SHOULD"], total["MAY"])
	b.WriteString("\nThe first number is how many are proven, the second how many there are; in brackets, for how many of those that\n" +
		"are proven something else has taken the clause's place.\n")
	for _, d := range docs {
		fmt.Fprintf(&b, "\n## RFC %d\n\n%s.", d.number, d.title)
		if d.note != "" {
			b.WriteString(" " + d.note)
		}
		if s := d.accounts(); s != "" {
			b.WriteString(" " + s)
		}
		b.WriteString("\n\n| clause | § | asks for | proven by, or why not |\n|---|---|---|---|\n")
		for _, c := range d.clauses {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.title(), c.place(), cell(c.text), c.status())
		}
	}
	b.WriteString(citedSection(cited))
	return b.Bytes()
}

// tabled are the RFCs that come with a table of what they ask for.
var tabled = []int{9293, 1122}

// wholeness says for which RFCs the list is whole, and by what measure.
func wholeness(docs []*document) string {
	var whole, rest []string
	for _, d := range docs {
		switch {
		case slices.Contains(tabled, d.number):
		case d.counted:
			whole = append(whole, fmt.Sprint(d.number))
		default:
			rest = append(rest, fmt.Sprint(d.number))
		}
	}
	s := "The list is whole for RFC 9293 and RFC 1122: it is that of their own tables.\n"
	if len(whole) > 0 {
		s += "\nIt is whole as well for RFC " + strings.Join(whole, ", ") + ".\n" +
			"In their texts each word of RFC 2119 in capitals that asks for something is counted, numbered within its section\n" +
			"(3.2/2 is the second in section 3.2), and is in a clause of at least its level; or it is aside, with a reason, because\n" +
			"it asks nothing of a host that does what the RFC describes. What of a text is not counted its list says.\n"
	}
	if len(rest) > 0 {
		s += "\nFor RFC " + strings.Join(rest, ", ") + "\nthe list is what we know of them: what is missing there, add it.\n"
	}
	return s
}

// count is the keywords column of the first table.
func (d *document) count() string {
	switch {
	case slices.Contains(tabled, d.number):
		return "its table"
	case !d.counted:
		return "–"
	case len(d.keywords) == 0:
		return "none"
	}
	return fmt.Sprint(len(d.keywords))
}

// tally counts clauses of one level.
type tally struct{ proven, instead, all int }

func (t *tally) count(c *clause) {
	t.all++
	if len(c.marks) > 0 {
		t.proven++
		if c.instead != "" {
			t.instead++
		}
	}
}

func (t *tally) String() string {
	if t == nil {
		return "–"
	}
	n := fmt.Sprintf("%d of %d", t.proven, t.all)
	if t.instead > 0 {
		n += fmt.Sprintf(" (%d)", t.instead)
	}
	return n
}

// title names the clause with its level, unless its number says it.
func (c *clause) title() string {
	if strings.HasPrefix(c.id, "MUST-") || strings.HasPrefix(c.id, "SHLD-") || strings.HasPrefix(c.id, "MAY-") {
		return c.id
	}
	return c.level + " " + c.id
}

// status is the last column.
func (c *clause) status() string {
	switch {
	case c.not != "":
		return "not done: " + cell(c.not)
	case c.missing != "":
		return "**missing:** " + cell(c.missing)
	}
	var names []string
	for _, m := range c.marks {
		names = append(names, m.name())
	}
	if c.instead != "" {
		return "instead: " + cell(c.instead) + ": " + strings.Join(names, ", ")
	}
	return strings.Join(names, ", ")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
