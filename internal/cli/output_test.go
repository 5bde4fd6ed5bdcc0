package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// env is an environment for a test.
func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if n, v, _ := strings.Cut(p, "="); n == name {
				return v, true
			}
		}
		return "", false
	}
}

func TestAFileGetsNeitherColourNorPager(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	o := New(Config{Stdout: f, LookupEnv: env("ARPEGGIO_PAGER=sed s/^/paged:/")})
	o.Page()
	o.Printf("%s\n", o.Paint(ID, "3fbc181"))
	if o.IsTerminal() || o.Width() != 0 {
		t.Error("a file is taken for a terminal")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(f.Name()); err != nil || string(b) != "3fbc181\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWhichPager(t *testing.T) {
	none := func() (string, bool) { return "", false }
	core := func() (string, bool) { return "core", true }
	for _, c := range []struct {
		git  func() (string, bool)
		env  []string
		want string
	}{
		{core, []string{"ARPEGGIO_PAGER=a", "GIT_PAGER=g", "PAGER=p"}, "a"},
		{core, []string{"GIT_PAGER=g", "PAGER=p"}, "g"},
		{core, []string{"PAGER=p"}, "core"},
		{none, []string{"PAGER=p"}, "p"},
		{core, []string{"ARPEGGIO_PAGER=", "PAGER=p"}, ""}, // set and empty: none
	} {
		if got := pagerCommand(env(c.env...), c.git); got != c.want {
			t.Errorf("%q: %q, want %q", c.env, got, c.want)
		}
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Color: "always"}, "\x1b[31mx\x1b[m"},
		{Config{Color: "always", LookupEnv: env("NO_COLOR=1")}, "\x1b[31mx\x1b[m"}, // a flag is stronger
		{Config{Color: "always", JSON: true}, "x"},
		{Config{Color: "never"}, "x"},
		{Config{}, "x"},
	} {
		c.cfg.Stdout = os.Stdin
		if got := New(c.cfg).Paint(Removed, "x"); got != c.want {
			t.Errorf("%+v: %q, want %q", c.cfg, got, c.want)
		}
	}
}

// A reader that goes away early, as head does, is no error, and printing stops.
func TestTheReaderMayGoAway(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	o := New(Config{Stdout: w})
	for range 100000 {
		o.Printf("a line that is longer than nothing\n")
	}
	if o.Err() == nil {
		t.Error("the writer did not notice")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestOtherWriteErrorsAreTold(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer full.Close()
	o := New(Config{Stdout: full})
	o.Printf("text\n")
	if err := o.Close(); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Error(err)
	}
}

func TestJSONIsOneLine(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := New(Config{Stdout: w, JSON: true})
	o.JSON(map[string]string{"subject": "a <b> & c\nd"})
	o.Close()
	w.Close()
	if b, _ := io.ReadAll(r); string(b) != `{"subject":"a <b> & c\nd"}`+"\n" {
		t.Errorf("%q", b)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain äöü\t":        "plain äöü\t",
		"\x1b[2Jgone":        "?[2Jgone",
		"a\rb":               "a?b",
		"bad \xff utf-8":     "bad ? utf-8",
		"right\u202eto left": "right?to left",
		"a\nb":               "a?b",
	} {
		if got := Clean(in, false); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Clean("a\nb\x07", true); got != "a\nb?" {
		t.Errorf("%q", got)
	}
}

func TestColumns(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := New(Config{Stdout: w})
	var c Columns
	c.Row(Cell{Text: "a"}, Cell{}, Cell{Text: "läng"}, Cell{Text: "x"})
	c.Row(Cell{Text: "bbb"}, Cell{}, Cell{Text: ""}, Cell{Text: "y"})
	c.Row(Cell{Text: "c"}, Cell{}, Cell{Text: "end"})
	c.Print(o)
	o.Close()
	w.Close()
	want := "a    läng  x\nbbb        y\nc    end\n"
	if b, _ := io.ReadAll(r); string(b) != want || c.Len() != 3 {
		t.Errorf("\n%s\nwant\n%s", b, want)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{{"abcdef", 4, "abc…"}, {"äöü", 3, "äöü"}, {"abc", 0, "abc"}, {"abc", 1, "…"}} {
		if got := Cut(c.in, c.width); got != c.want {
			t.Errorf("%q in %d: %q", c.in, c.width, got)
		}
	}
}
