// Package bench measures the store against its yardsticks: go-git, stock git
// and its own bars, all in one run, because only ratios of one run say
// something on a machine that others use, too. `make bench` prints the table;
// the measurements are in the package's tests, which run a small version of
// them. This file is the table.
package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Row is one measured figure. Its zero Bar is none: the row is there for
// comparison.
type Row struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"` // of Value, such as "commits/s"
	// Ratio is how much better the section's own side is than this one; 0: this
	// row is not compared. When it is there, the bar is on it.
	Ratio float64 `json:"ratio,omitempty"`
	Bar   Bar     `json:"bar,omitzero"`
	Met   bool    `json:"met"`             // the bar; true without one
	Note  string  `json:"note,omitempty"`  // what else belongs to the figure
	Error string  `json:"error,omitempty"` // why there is no figure
}

// Bar is what a figure has to reach.
type Bar struct {
	Limit float64 `json:"limit"`
	Sense string  `json:"sense"` // "≥", "≤", or "" for no bar
}

// AtLeast is a lower bar.
func AtLeast(limit float64) Bar { return Bar{limit, "≥"} }

// AtMost is an upper bar.
func AtMost(limit float64) Bar { return Bar{limit, "≤"} }

func (b Bar) met(v float64) bool {
	switch b.Sense {
	case "≥":
		return v >= b.Limit
	case "≤":
		return v <= b.Limit
	}
	return true
}

// Report prints rows as they come, a table for people to one writer and a JSON
// object a line to another. It is for one goroutine.
type Report struct {
	Table, JSON   io.Writer // nil discards
	section       string
	met, bars     int
	failed        int
	firstJSONFail error
}

// Add judges a row by its bar and prints it.
func (p *Report) Add(r Row) {
	judged := r.Value
	if r.Ratio != 0 {
		judged = r.Ratio
	}
	r.Met = r.Error == "" && r.Bar.met(judged)
	switch {
	case r.Error != "":
		p.failed++
	case r.Bar.Sense != "":
		p.bars++
		if r.Met {
			p.met++
		}
	}
	p.print(r)
	if p.JSON != nil {
		b, err := json.Marshal(r)
		if err == nil {
			_, err = p.JSON.Write(append(b, '\n'))
		}
		if p.firstJSONFail == nil {
			p.firstJSONFail = err
		}
	}
}

func (p *Report) print(r Row) {
	if p.Table == nil {
		return
	}
	if r.Section != p.section {
		fmt.Fprintf(p.Table, "\n%s\n", r.Section)
		p.section = r.Section
	}
	if r.Error != "" {
		fmt.Fprintf(p.Table, "  %s not measured: %s\n", pad(r.Name, 44), r.Error)
		return
	}
	ratio, unit := "", r.Unit
	if r.Ratio != 0 {
		ratio, unit = Number(r.Ratio)+"×", "×"
	}
	line := fmt.Sprintf("  %s %9s %-12s %8s", pad(r.Name, 44), Number(r.Value), r.Unit, ratio)
	if r.Bar.Sense != "" {
		verdict := "MISSED"
		if r.Met {
			verdict = "met"
		}
		if unit != "×" {
			unit = " " + unit
		}
		line += fmt.Sprintf("  %s %s", pad(r.Bar.Sense+" "+Number(r.Bar.Limit)+unit, 16), pad(verdict, 6))
	}
	if r.Note != "" {
		line += "  " + r.Note
	}
	fmt.Fprintln(p.Table, strings.TrimRight(line, " "))
}

// Finish prints the count of bars. The error says which figures could not be
// taken; a missed bar is none.
func (p *Report) Finish() error {
	if p.Table != nil {
		fmt.Fprintf(p.Table, "\n%d of %d bars met", p.met, p.bars)
		if p.failed > 0 {
			fmt.Fprintf(p.Table, ", %d figures not measured", p.failed)
		}
		fmt.Fprintln(p.Table)
	}
	if p.failed > 0 {
		return fmt.Errorf("bench: %d figures not measured", p.failed)
	}
	return p.firstJSONFail
}

// Number formats a figure with three significant digits or all of its integer
// part, in groups of thousands.
func Number(v float64) string {
	if v < 0 {
		return "-" + Number(-v)
	}
	digits := 2
	switch {
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	case v < 0.095 && v > 0:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	whole, frac, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if frac = strings.TrimRight(frac, "0"); frac != "" {
		return whole + "." + frac
	}
	return whole
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}
