package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// keyword is one place where an RFC uses a word of RFC 2119 to ask for
// something. It is named by its section and its number among those of the
// section, such as §3.2/2.
type keyword struct {
	section string
	n       int // from 1
	level   string
}

func (k keyword) name() string { return fmt.Sprintf("§%s/%d", k.section, k.n) }

// aside says why keywords ask nothing of a host that does what the RFC
// describes: they are about routers, about authors of other documents, or
// quoted.
type aside struct {
	keywords []string
	why      string
	line     string
}

// levelOf maps the words of RFC 2119 to the level of a clause. A NOT behind
// one of them counts with it.
var levelOf = map[string]string{
	"MUST": "MUST", "SHALL": "MUST", "REQUIRED": "MUST",
	"SHOULD": "SHOULD", "RECOMMENDED": "SHOULD", "RECOMMEND": "SHOULD", "RECOMMENDS": "SHOULD",
	"MAY": "MAY", "OPTIONAL": "MAY",
}

var (
	keywordsLine = regexp.MustCompile(`^keywords (none|§(\S+): (.+))$`)
	asideLine    = regexp.MustCompile(`^aside ((?:§\S+/\d+ ?)+): (.+)$`)
	keywordName  = regexp.MustCompile(`^§\S+/\d+$`)
)

// addKeywords takes a line of a document's head that counts the keywords of a
// section, or says that the RFC has none.
func (d *document) addKeywords(line string) error {
	m := keywordsLine.FindStringSubmatch(line)
	if m == nil {
		return errors.New(`want "keywords §SECTION: WORD…", the words of RFC 2119 in the order of the text, or "keywords none"`)
	}
	d.counted = true
	if m[1] == "none" {
		return nil
	}
	for _, k := range d.keywords {
		if k.section == m[2] {
			return fmt.Errorf("§%s stands here twice", m[2])
		}
	}
	for i, w := range strings.Fields(m[3]) {
		if levelOf[w] == "" {
			return fmt.Errorf("%q is no word of RFC 2119", w)
		}
		d.keywords = append(d.keywords, keyword{section: m[2], n: i + 1, level: levelOf[w]})
	}
	return nil
}

// addAside takes a line of a document's head that sets keywords aside.
func (d *document) addAside(line, at string) error {
	m := asideLine.FindStringSubmatch(line)
	if m == nil {
		return errors.New(`want "aside §SECTION/NUMBER…: REASON"`)
	}
	d.asides = append(d.asides, aside{keywords: strings.Fields(m[1]), why: m[2], line: at})
	return nil
}

// addKeywords takes the line of a clause that says which keywords it stands
// for.
func (c *clause) addKeywords(names []string) error {
	for _, n := range names {
		if !keywordName.MatchString(n) {
			return fmt.Errorf("%s: %q is no §SECTION/NUMBER", c.name(), n)
		}
	}
	c.keywords = append(c.keywords, names...)
	return nil
}

// checkKeywords wants each keyword of a counted RFC to be in a clause of at
// least its level, or aside with a reason.
func checkKeywords(docs []*document) error {
	var all []error
	for _, d := range docs {
		levels, by := map[string]string{}, map[string]string{}
		for _, k := range d.keywords {
			levels[k.name()] = k.level
		}
		for _, c := range d.clauses {
			for _, n := range c.keywords {
				if err := c.stands(n, levels[n]); err != nil {
					all = append(all, fmt.Errorf("%s: %s: %w", c.line, c.name(), err))
				}
				by[n] = c.id
			}
		}
		for _, a := range d.asides {
			for _, n := range a.keywords {
				switch {
				case levels[n] == "":
					all = append(all, fmt.Errorf("%s: RFC %d has no keyword %s", a.line, d.number, n))
				case by[n] != "":
					all = append(all, fmt.Errorf("%s: RFC %d %s is aside and also in %s", a.line, d.number, n, by[n]))
				}
				by[n] = "aside"
			}
		}
		for _, k := range d.keywords {
			if by[k.name()] == "" {
				all = append(all, fmt.Errorf("RFC %d %s %s is in no clause: add it to one (\"keywords %s\"), or say \"aside %s: REASON\"",
					d.number, k.name(), k.level, k.name(), k.name()))
			}
		}
	}
	return errors.Join(all...)
}

// stands wants the clause to ask for no less than its keyword name, of level,
// does.
func (c *clause) stands(name, level string) error {
	order := []string{"MAY", "SHOULD", "MUST"}
	switch {
	case level == "":
		return fmt.Errorf("the RFC has no keyword %s: the head of the file counts them", name)
	case slices.Index(order, c.level) < slices.Index(order, level):
		return fmt.Errorf("%s is a %s: a %s is too little", name, level, c.level)
	}
	return nil
}

// accounts says for the page what became of the keywords.
func (d *document) accounts() string {
	if !d.counted {
		return ""
	}
	if len(d.keywords) == 0 {
		return "It uses none of the words of RFC 2119; the levels are ours."
	}
	var aside []string
	n := 0
	for _, a := range d.asides {
		aside = append(aside, strings.Join(a.keywords, " ")+" "+a.why)
		n += len(a.keywords)
	}
	s := fmt.Sprintf("All %d of its keywords are accounted for", len(d.keywords))
	if n > 0 {
		s += fmt.Sprintf(", %d of them aside: %s", n, strings.Join(aside, "; "))
	}
	return s + "."
}

// place is what the page says about where the clause is in the RFC.
func (c *clause) place() string {
	if len(c.keywords) == 0 {
		return c.section
	}
	return strings.ReplaceAll(strings.Join(c.keywords, ", "), "§", "")
}
