package main

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// checkStatus wants each clause proven, or a reason. A reason never excuses a
// MUST.
func checkStatus(docs []*document) error {
	var all []error
	for _, d := range docs {
		for _, c := range d.clauses {
			if err := c.check(); err != nil {
				all = append(all, fmt.Errorf("%s: %s %w", c.line, c.name(), err))
			}
		}
	}
	return errors.Join(all...)
}

func (c *clause) check() error {
	switch {
	case c.text == "":
		return errors.New("does not say what it asks for")
	case c.not != "" && c.missing != "":
		return errors.New(`is either "not:" or "missing:"`)
	case c.not != "" && c.level == "MUST":
		return errors.New("is a MUST: a reason does not excuse it")
	case c.missing != "" && c.level == "MUST":
		return errors.New("is a MUST whose code is missing: write it")
	case c.not != "" || c.missing != "":
		if len(c.marks) > 0 {
			return fmt.Errorf(`is marked by %s: drop "not:" or "missing:", or the mark`, c.marks[0].name())
		}
		if len(c.edits) > 0 {
			return errors.New("is not done, so there is nothing to disable")
		}
	case len(c.marks) == 0:
		return fmt.Errorf("has no test: write //rfc:%d %s above the one that proves it, or say \"not: REASON\" (never for a MUST)", c.rfc, c.id)
	case len(c.edits) == 0:
		return errors.New(`has no edit that disables it: add "in FILE", "- old text", "+ new text"`)
	}
	return nil
}

// checkEdits wants each edit to fit the sources as they are.
func checkEdits(root string, docs []*document) error {
	var all []error
	for _, d := range docs {
		for _, c := range d.clauses {
			if _, err := overlay(root, c); err != nil {
				all = append(all, err)
			}
		}
	}
	return errors.Join(all...)
}

// overlay returns the files of a clause's edits, by their path below root, as
// they are with the clause disabled.
func overlay(root string, c *clause) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, e := range c.edits {
		src, ok := files[e.file]
		if !ok {
			var err error
			if src, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file))); err != nil {
				return nil, fmt.Errorf("%s: %s: its code has moved, say where to: %w", c.line, c.name(), err)
			}
		}
		src, err := e.apply(src)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c.line, c.name(), err)
		}
		files[e.file] = src
	}
	for name, src := range files {
		if _, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution); err != nil {
			return nil, fmt.Errorf("%s: %s: with its edit the source is no Go any more: %w", c.line, c.name(), err)
		}
	}
	return files, nil
}

// apply makes the edit. Old text begins and ends anywhere in a line; between
// its lines only indentation is free.
func (e edit) apply(src []byte) ([]byte, error) {
	if len(e.old) == 0 {
		return nil, fmt.Errorf("the edit of %s says no old text", e.file)
	}
	lines := make([]string, len(e.old))
	for i, l := range e.old {
		lines[i] = regexp.QuoteMeta(l)
	}
	found := regexp.MustCompile(strings.Join(lines, `[ \t]*\n[ \t]*`)).FindAllIndex(src, 3)
	if len(found) != 1 {
		const remedy = "the code that the clause is about was changed: find it again, quote a line or a part of a line that the file has once, " +
			"and check with `go run ./internal/rfc -mutants -only 'NAME'` that its tests still fail without it"
		return nil, fmt.Errorf("%s has the text %q %d times, not once; %s", e.file, strings.Join(e.old, "\n"), len(found), remedy)
	}
	at := found[0]
	out := append([]byte(nil), src[:at[0]]...)
	out = append(out, strings.Join(e.new, "\n")...)
	return append(out, src[at[1]:]...), nil
}
