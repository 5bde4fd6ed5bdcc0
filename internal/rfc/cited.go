package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// citedFile says of each RFC that the sources cite and that has no list why it has
// none. Its lines:
//
//	RFC 4861 Neighbor Discovery for IP version 6: the host has no IPv6; …
//
// Empty lines and those that begin with # are left out.
const citedFile = "internal/rfc/cited.txt"

// citation is a line of citedFile.
type citation struct {
	rfc        int
	title, why string
}

var citedLine = regexp.MustCompile(`^RFC (\d+) ([^:]+): (.+)$`)

// readCited reads citedFile below root; one that does not exist has no lines.
func readCited(root string) ([]citation, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(citedFile)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var cited []citation
	var all []error
	for n, line := range strings.Split(string(b), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := citedLine.FindStringSubmatch(line)
		if m == nil {
			all = append(all, fmt.Errorf("%s:%d: want \"RFC NUMBER TITLE: REASON\"", citedFile, n+1))
			continue
		}
		rfc, _ := strconv.Atoi(m[1])
		if k := len(cited); k > 0 && cited[k-1].rfc >= rfc {
			all = append(all, fmt.Errorf("%s:%d: RFC %d stands behind RFC %d: the lines are in order, and each RFC has one", citedFile, n+1, rfc, cited[k-1].rfc))
		}
		cited = append(cited, citation{rfc, m[2], m[3]})
	}
	return cited, errors.Join(all...)
}

// citing is how sources cite an RFC.
var citing = regexp.MustCompile(`\bRFC (\d{3,4})\b`)

// findCitations returns the RFCs that the Go sources below root cite, each with one
// file that does.
func findCitations(root string) (map[int]string, error) {
	found := map[int]string{}
	err := walkSources(root, func(path string, src []byte) error {
		if strings.HasPrefix(path, filepath.ToSlash(filepath.Dir(citedFile))+"/") {
			return nil // about the lists
		}
		for _, m := range citing.FindAllSubmatch(src, -1) {
			if n, _ := strconv.Atoi(string(m[1])); found[n] == "" {
				found[n] = path
			}
		}
		return nil
	})
	return found, err
}

// checkCited wants a list or a reason for each RFC that is cited, and no reason for
// another.
func checkCited(docs []*document, cited []citation, found map[int]string) error {
	var all []error
	listed := func(n int) bool { return slices.ContainsFunc(docs, func(d *document) bool { return d.number == n }) }
	for n, path := range found {
		if !listed(n) && !slices.ContainsFunc(cited, func(c citation) bool { return c.rfc == n }) {
			all = append(all, fmt.Errorf("%s cites RFC %d, of which %s has no list: make one, or say in %s why there is none", path, n, clauseDir, citedFile))
		}
	}
	for _, c := range cited {
		switch {
		case listed(c.rfc):
			all = append(all, fmt.Errorf("RFC %d has a list: take it out of %s", c.rfc, citedFile))
		case found[c.rfc] == "":
			all = append(all, fmt.Errorf("no source cites RFC %d any more: take it out of %s", c.rfc, citedFile))
		}
	}
	return errors.Join(all...)
}

// citedSection is the end of the page.
func citedSection(cited []citation) string {
	if len(cited) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## RFCs without a list\n\nThe sources cite these as well. Why they have no list:\n\n| RFC | why |\n|---|---|\n")
	for _, c := range cited {
		fmt.Fprintf(&b, "| RFC %d %s | %s |\n", c.rfc, cell(c.title), cell(c.why))
	}
	return b.String()
}
