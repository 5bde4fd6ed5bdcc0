// Command rfc keeps docs/rfc-coverage.md: what each RFC asks of a host, and
// which test proves that it is done.
//
// The clauses are data, a file an RFC, in clauses/; readDocument says their form.
// A file may count the keywords of its RFC: then each of them has to be in a
// clause, or aside with a reason, and the page calls the list whole. A test says
// above its function which of them it proves:
//
//	//rfc:9293 MUST-15 MUST-16
//	func TestRFC9293MSS(t *testing.T) {
//
// Such a mark counts only if the test fails without the clause's code. Beside
// each clause stands therefore an edit that disables it, and -mutants compiles
// with each edit in turn (go test -overlay; no file is touched) and wants every
// marked test to fail.
//
//	go run ./internal/rfc                     write docs/rfc-coverage.md
//	go run ./internal/rfc -mutants            disable each clause, run its tests
//	go run ./internal/rfc -mutants -only 'RFC 9293 MUST-1[0-9]'
//
// Everything runs from the root of the module.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

const (
	clauseDir = "internal/rfc/clauses"
	docFile   = "docs/rfc-coverage.md"
)

func main() {
	mutants := flag.Bool("mutants", false, "disable each clause and run its tests, which have to fail")
	only := flag.String("only", "", "with -mutants: only clauses whose full name, such as RFC 9293 MUST-15, matches this `regexp`")
	flag.Parse()
	if err := run(*mutants, *only); err != nil {
		fmt.Fprintln(os.Stderr, "rfc:", err)
		os.Exit(1)
	}
}

func run(mutants bool, only string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	docs, cited, err := load(".")
	if err != nil {
		return err
	}
	if mutants {
		return runMutants(docs, pattern, os.Stdout)
	}
	page := render(docs, cited)
	if old, err := os.ReadFile(docFile); err == nil && bytes.Equal(old, page) {
		fmt.Println(docFile, "is up to date")
		return nil
	}
	if err := os.WriteFile(docFile, page, 0o644); err != nil {
		return err
	}
	fmt.Println(docFile, "written")
	return nil
}

// load reads the clauses, the marks and citedFile below root and checks them against
// each other and against the sources. The error joins everything that is wrong.
func load(root string) ([]*document, []citation, error) {
	files, err := filepath.Glob(filepath.Join(root, clauseDir, "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, nil, fmt.Errorf("no clauses in %s: run this from the root of the module (%w)", clauseDir, err)
	}
	var docs []*document
	var all []error
	for _, f := range files {
		d, err := readDocument(f)
		if err != nil {
			all = append(all, err)
			continue
		}
		docs = append(docs, d)
	}
	if all != nil {
		return nil, nil, errors.Join(all...)
	}
	sortDocuments(docs)
	marks, err := findMarks(root)
	all = append(all, err, attach(docs, marks), checkStatus(docs), checkKeywords(docs), checkEdits(root, docs))
	cited, err := readCited(root)
	all = append(all, err)
	found, err := findCitations(root)
	all = append(all, err, checkCited(docs, cited, found))
	return docs, cited, errors.Join(all...)
}
