package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mark is a test's claim to prove a clause.
type mark struct {
	rfc       int
	id        string
	dir, test string // package directory below the root, test function
	pos       string
}

// name is how a page calls the test.
func (m mark) name() string { return strings.TrimPrefix(m.dir+"."+m.test, "..") }

const directive = "//rfc:"

// findMarks returns the marks of all tests below root, by package and test.
func findMarks(root string) ([]mark, error) {
	var marks []mark
	var all []error
	err := walkSources(root, func(path string, src []byte) error {
		if !strings.HasSuffix(path, "_test.go") || !bytes.Contains(src, []byte(directive)) {
			return nil
		}
		found, err := marksOf(path, src)
		marks = append(marks, found...)
		all = append(all, err)
		return nil
	})
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Or(cmp.Compare(a.dir, b.dir), cmp.Compare(a.test, b.test)) })
	return marks, errors.Join(append(all, err)...)
}

// walkSources calls f for each Go file below root that belongs to the module, with
// its path below root.
func walkSources(root string, f func(path string, src []byte) error) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := e.Name(); {
		case e.IsDir() && path != root && (name == "testdata" || strings.HasPrefix(name, ".") || name == "build"):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel), src)
	})
}

// marksOf returns the marks of one file.
func marksOf(path string, src []byte) ([]mark, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var marks []mark
	var all []error
	seen := map[token.Pos]bool{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Doc == nil || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") {
			continue
		}
		for _, c := range fn.Doc.List {
			rest, ok := strings.CutPrefix(c.Text, directive)
			if !ok {
				continue
			}
			seen[c.Pos()] = true
			pos := fset.Position(c.Pos()).String()
			words := strings.Fields(rest)
			if len(words) < 2 {
				all = append(all, fmt.Errorf("%s: want %sNUMBER CLAUSE…", pos, directive))
				continue
			}
			n, err := strconv.Atoi(words[0])
			if err != nil {
				all = append(all, fmt.Errorf("%s: %q is no number of an RFC", pos, words[0]))
				continue
			}
			for _, id := range words[1:] {
				marks = append(marks, mark{rfc: n, id: id, dir: filepath.ToSlash(filepath.Dir(path)), test: fn.Name.Name, pos: pos})
			}
		}
	}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, directive) && !seen[c.Pos()] {
				all = append(all, fmt.Errorf("%s: a mark belongs into the comment right above a test function", fset.Position(c.Pos())))
			}
		}
	}
	return marks, errors.Join(all...)
}

// attach gives each mark to its clause.
func attach(docs []*document, marks []mark) error {
	var all []error
	clauses := map[string]*clause{}
	for _, d := range docs {
		for _, c := range d.clauses {
			clauses[c.name()] = c
		}
	}
	for _, m := range marks {
		c := clauses[fmt.Sprintf("RFC %d %s", m.rfc, m.id)]
		if c == nil {
			all = append(all, fmt.Errorf("%s: RFC %d %s is in no file of %s", m.pos, m.rfc, m.id, clauseDir))
			continue
		}
		c.marks = append(c.marks, m)
	}
	return errors.Join(all...)
}
