package observe

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/events.md has each type and each reason as the code has them, in the
// order of the code, and none besides.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	severity := map[Severity]string{SeverityAlert: "alert", SeverityWarning: "warning", SeverityNotice: "notice", SeverityInfo: "info"}
	var want []string
	for i := range Types() {
		window := strings.Replace(i.Window.String(), "m0s", "m", 1)
		threshold := "–"
		switch {
		case i.Type == NewActivity:
			threshold = fmt.Sprintf("%d days", int(i.Window.Hours()/24))
		case i.Threshold > 0:
			threshold = fmt.Sprintf("%d in %s", i.Threshold, window)
		case i.Window > 0:
			threshold = window
		}
		episode := map[bool]string{true: "yes", false: "no"}[i.Episode]
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", i.Name, severity[i.Severity], threshold, episode, i.Meaning))
	}
	for i := range want {
		if i >= len(rows) || rows[i] != want[i] {
			t.Fatalf("row %d:\n got %s\nwant %s", i, rows[min(i, len(rows)-1)], want[i])
		}
	}
	rows = rows[len(want):]
	for r := ReasonOther; r < NumReasons; r++ {
		if len(rows) == 0 || !strings.HasPrefix(rows[0], "| `"+r.String()+"` | ") {
			t.Fatalf("reason %v is not the next: %v", r, rows)
		}
		rows = rows[1:]
	}
	if len(rows) > 0 {
		t.Errorf("rows too many: %v", rows)
	}
}

// Names read back, and each type is in the table at its own place.
func TestTypeNames(t *testing.T) {
	all := TypeSet(0)
	for i := range Types() {
		got, ok := ParseType(i.Name)
		if !ok || got != i.Type || got.Info() != i || i.Meaning == "" || i.Severity == 0 {
			t.Errorf("%s is %v", i.Name, got)
		}
		all = all.With(i.Type)
	}
	n := 0
	for typ := range all.All() {
		if n++; Type(n) != typ {
			t.Errorf("type %d is %v", n, typ)
		}
	}
	if n != int(NumTypes)-1 {
		t.Errorf("%d types", n)
	}
	if _, ok := ParseType("none"); ok {
		t.Error("none is a type of event")
	}
	if got := TypeSet(0).With(NewStation).With(Bogon).String(); got != "new-station,bogon" {
		t.Errorf("set %q", got)
	}
}

// Kinds of ARP keep the names of package arp.
func TestKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := range NumKinds {
		if s := k.String(); s == "" || strings.Contains(s, "(") || seen[s] {
			t.Errorf("kind %d is %q", k, s)
		} else {
			seen[s] = true
		}
	}
	if KindReply.String() != "reply" || KindUnsolicited.String() != "unsolicited-advertisement" {
		t.Error(KindReply, KindUnsolicited)
	}
}
