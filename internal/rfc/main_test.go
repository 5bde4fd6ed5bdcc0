package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The real clauses, marks and sources fit each other, and the page says so.
func TestPageIsUpToDate(t *testing.T) {
	docs, cited, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("../..", docFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, render(docs, cited)) {
		t.Errorf("%s is not what clauses and marks say: run `make rfc-coverage` and commit it", docFile)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const small = `# RFC 7 Sums
keywords §1: MUST SHALL
keywords §2: RECOMMENDED MAY
aside §2/2: is about products
Of two numbers.

sum MUST §1
  The sum is
  the sum.
  keywords §1/1 §1/2
  in a.go
  - return a + b
  + return a - b

vain SHOULD §2
  Two is two.
  keywords §2/1
  in a.go
  - const two = 2
  + const two = 3

old MUST §2.1
  Overflow is an error.
  instead: it wraps
  in a.go
  - return a + b
  + return max(a, b)

big MAY §3
  Large numbers.
  not: there are
  none
`

const smallTests = `package a

import "testing"

// TestSum has a word in front of its marks.
//
//rfc:7 sum old
func TestSum(t *testing.T) {
	if Sum(1, 2) != 3 {
		t.Error("wrong")
	}
}

//rfc:7 vain
func TestVain(t *testing.T) { Sum(1, 2) }
`

// module makes a module with the clauses and tests above the working directory.
func module(t *testing.T, clauses, tests string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "go.mod", "module a\n\ngo 1.26\n")
	write(t, "a.go", "package a\n\nconst two = 2\n\nfunc Sum(a, b int) int {\n\t_ = two\n\treturn a + b\n}\n")
	write(t, "a_test.go", tests)
	write(t, filepath.Join(clauseDir, "rfc7.txt"), clauses)
}

func TestLoadAndRender(t *testing.T) {
	module(t, small, smallTests)
	docs, cited, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	page := string(render(docs, cited))
	for _, want := range []string{
		"It is whole as well for RFC 7.",
		"| [RFC 7](#rfc-7) Sums | 4 | 2 of 2 (1) | 1 of 1 | 0 of 1 |",
		"| all | | 2 of 2 (1) | 1 of 1 | 0 of 1 |",
		"Sums. Of two numbers. All 4 of its keywords are accounted for, 1 of them aside: §2/2 is about products.",
		"| MUST sum | 1/1, 1/2 | The sum is the sum. | TestSum |",
		"| MUST old | 2.1 | Overflow is an error. | instead: it wraps: TestSum |",
		"| MAY big | 3 | Large numbers. | not done: there are none |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
}

// What has drifted apart is an error that names the place and the remedy.
func TestLoadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, oldTest, newTest, want string }{
		"no test":          {oldTest: "//rfc:7 sum", newTest: "", want: "RFC 7 sum has no test: write //rfc:7 sum above"},
		"unknown clause":   {oldTest: "//rfc:7 sum", newTest: "//rfc:7 sum product", want: "RFC 7 product is in no file"},
		"unknown RFC":      {oldTest: "//rfc:7 sum", newTest: "//rfc:8 sum", want: "RFC 8 sum is in no file"},
		"no number":        {oldTest: "//rfc:7 sum", newTest: "//rfc:seven sum", want: `"seven" is no number`},
		"no clause":        {oldTest: "//rfc:7 sum old", newTest: "//rfc:7", want: "want //rfc:NUMBER CLAUSE"},
		"not above a test": {oldTest: "func TestSum", newTest: "var x int\n\nfunc TestSum", want: "a mark belongs into the comment right above a test"},
		"moved code":       {old: "- return a + b", new: "- return b + a", want: `a.go has the text "return b + a" 0 times`},
		"text twice":       {old: "- return a + b", new: "- a", want: "3 times, not once; the code that the clause is about was changed"},
		"no such file":     {old: "in a.go\n  - return", new: "in b.go\n  - return", want: "its code has moved"},
		"no Go":            {old: "+ return a - b", new: "+ return a -", want: "is no Go any more"},
		"excused MUST":     {old: "in a.go\n  - return a + b\n  + return a - b", new: "not: too hard", want: "RFC 7 sum is a MUST: a reason does not excuse it"},
		"missing MUST":     {old: "in a.go\n  - return a + b\n  + return a - b", new: "missing: all", want: "RFC 7 sum is a MUST whose code is missing"},
		"marked reason":    {old: "in a.go\n  - const two = 2\n  + const two = 3", new: "not: why", want: "RFC 7 vain is marked by"},
		"no edit":          {old: "in a.go\n  - return a + b\n  + return a - b", new: "", want: "has no edit that disables it"},
		"edit and reason":  {old: "  not: there are", new: "  in a.go\n  - const two\n  not: there are", want: `behind "in FILE" come lines`},
		"both reasons":     {old: "  not: there are", new: "  missing: all\n  not: there are", want: `is either "not:" or "missing:"`},
		"level":            {old: "vain SHOULD", new: "vain WILL", want: "want NAME MUST|SHOULD|MAY §SECTION"},
		"twice":            {old: "vain SHOULD", new: "sum SHOULD", want: "RFC 7 sum stands here twice"},
		"title":            {old: "# RFC 7 Sums", new: "# Sums", want: "rfc7.txt:1: want a first line"},
		"keyword left":     {old: "  keywords §2/1\n", new: "", want: `RFC 7 §2/1 SHOULD is in no clause: add it to one ("keywords §2/1"), or say "aside §2/1: REASON"`},
		"keyword unknown":  {old: "keywords §2/1", new: "keywords §2/1 §2/3", want: "RFC 7 vain: the RFC has no keyword §2/3"},
		"keyword weaker":   {old: "keywords §2/1", new: "keywords §2/1 §1/2", want: "RFC 7 vain: §1/2 is a MUST: a SHOULD is too little"},
		"keyword aside":    {old: "keywords §2/1", new: "keywords §2/1 §2/2", want: "RFC 7 §2/2 is aside and also in vain"},
		"keyword no name":  {old: "keywords §2/1", new: "keywords §2/1 §2", want: `RFC 7 vain: "§2" is no §SECTION/NUMBER`},
		"aside unknown":    {old: "aside §2/2", new: "aside §2/2 §3/1", want: "RFC 7 has no keyword §3/1"},
		"aside no reason":  {old: ": is about products", new: "", want: `want "aside §SECTION/NUMBER…: REASON"`},
		"counted no word":  {old: "RECOMMENDED MAY", new: "RECOMMENDED CAN", want: `rfc7.txt:3: "CAN" is no word of RFC 2119`},
		"counted nothing":  {old: "keywords §1: MUST SHALL", new: "keywords §1", want: `want "keywords §SECTION: WORD…"`},
		"counted twice":    {old: "keywords §2:", new: "keywords §1:", want: "§1 stands here twice"},
		"silent":           {old: "  Large numbers.\n", new: "", want: "RFC 7 big does not say what it asks for"},
	} {
		t.Run(name, func(t *testing.T) {
			clauses := strings.Replace(small, tc.old, tc.new, 1)
			tests := strings.Replace(smallTests, tc.oldTest, tc.newTest, 1)
			module(t, clauses, tests)
			if _, _, err := load("."); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// An RFC without such words, and one that nobody counted.
func TestRenderCounts(t *testing.T) {
	for _, tc := range []struct{ head, row, intro string }{
		{"keywords none\n", "| [RFC 8](#rfc-8) Sums | none | – | – | 0 of 1 |", "RFC 8.\nIn their texts each word"},
		{"", "| [RFC 8](#rfc-8) Sums | – | – | – | 0 of 1 |", "For RFC 8\nthe list is what we know"},
	} {
		path := filepath.Join(t.TempDir(), "rfc8.txt")
		write(t, path, "# RFC 8 Sums\n"+tc.head+"\nbig MAY §3\n  Large numbers.\n  not: there are none\n")
		d, err := readDocument(path)
		if err != nil {
			t.Fatal(err)
		}
		page := string(render([]*document{d}, nil))
		for _, want := range []string{tc.row, tc.intro} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is missing in\n%s", want, page)
			}
		}
		if got := strings.Contains(page, "It uses none of the words"); got != (tc.head != "") {
			t.Errorf("says of the words: %v\n%s", got, page)
		}
	}
}

func TestApply(t *testing.T) {
	src := "if a {\n\t\tb()\n\t\tc()\n\t}\n\tb()\n"
	for _, tc := range []struct {
		old, new []string
		want     string
	}{
		{[]string{"b()", "c()"}, []string{"d()", "e()"}, "if a {\n\t\td()\ne()\n\t}\n\tb()\n"},
		{[]string{"c()"}, []string{""}, "if a {\n\t\tb()\n\t\t\n\t}\n\tb()\n"},
		{[]string{"if a"}, []string{"if !a"}, "if !a {\n\t\tb()\n\t\tc()\n\t}\n\tb()\n"},
	} {
		got, err := edit{file: "f", old: tc.old, new: tc.new}.apply([]byte(src))
		if err != nil || string(got) != tc.want {
			t.Errorf("%q: %q, %v", tc.old, got, err)
		}
	}
}

// A clause whose test fails without it counts, another is named.
func TestMutants(t *testing.T) {
	module(t, small, smallTests)
	docs, _, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = runMutants(docs, regexp.MustCompile(""), &out)
	if err == nil || err.Error() != "not proven: RFC 7 vain" {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), "RFC 7 vain is disabled, and still pass: TestVain") {
		t.Errorf("%s", out.String())
	}
	if !strings.Contains(out.String(), "noticed   RFC 7 sum by TestSum") || !strings.Contains(out.String(), "3 clauses disabled, 1 not noticed") {
		t.Errorf("%s", out.String())
	}
	if err := runMutants(docs, regexp.MustCompile("sum$"), io.Discard); err != nil {
		t.Errorf("only sum: %v", err)
	}
	if err := runMutants(docs, regexp.MustCompile("product"), io.Discard); err == nil {
		t.Error("nothing to do is no error")
	}
}

// Tests that do not run prove nothing.
func TestMutantsWantRunningTests(t *testing.T) {
	for name, body := range map[string]string{"skipped": `t.Skip("no")`, "failing": `t.Error("no")`} {
		t.Run(name, func(t *testing.T) {
			module(t, small, strings.Replace(smallTests, "Sum(1, 2) }", body+" }", 1))
			docs, _, err := load(".")
			if err != nil {
				t.Fatal(err)
			}
			err = runMutants(docs, regexp.MustCompile("vain"), io.Discard)
			if err == nil || !strings.Contains(err.Error(), "TestVain does not pass although nothing is disabled") {
				t.Errorf("%v", err)
			}
		})
	}
}

// What sources cite has a list or a reason, and what nobody cites has none.
func TestCited(t *testing.T) {
	for _, tc := range []struct{ source, file, want string }{
		{"// As RFC 777 says.\n", "# only these\n\nRFC 777 Products: is not done here\n", "| RFC 777 Products | is not done here |"},
		{"// As RFC 777 says.\n", "", "b.go cites RFC 777, of which internal/rfc/clauses has no list: make one, or say in internal/rfc/cited.txt why there is none"},
		{"", "RFC 777 Products: is not done here\n", "no source cites RFC 777 any more"},
		{"// As RFC 777 says.\n", "RFC 7 Sums: is done\nRFC 777 Products: is not\n", "RFC 7 has a list: take it out"},
		{"// As RFC 777 says.\n", "RFC 777 Products\n", `internal/rfc/cited.txt:1: want "RFC NUMBER TITLE: REASON"`},
		{"// As RFC 777 and RFC 776 say.\n", "RFC 777 Products: no\nRFC 776 Quotients: no\n", "RFC 776 stands behind RFC 777"},
	} {
		module(t, small, smallTests)
		write(t, "b.go", "package a\n\n"+tc.source)
		write(t, filepath.FromSlash(citedFile), tc.file)
		docs, cited, err := load(".")
		text := fmt.Sprint(err)
		if err == nil {
			text = string(render(docs, cited))
		}
		if tc.want != "" && !strings.Contains(text, tc.want) {
			t.Errorf("%q, %q: %q is missing in %s", tc.source, tc.file, tc.want, text)
		}
	}
}

func TestSortDocuments(t *testing.T) {
	docs := []*document{{number: 826}, {number: 1122}, {number: 791}, {number: 9293}}
	sortDocuments(docs)
	var got []int
	for _, d := range docs {
		got = append(got, d.number)
	}
	if !slices.Equal(got, []int{9293, 1122, 791, 826}) {
		t.Error(got)
	}
}
