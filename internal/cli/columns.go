package cli

import (
	"strings"
	"unicode/utf8"
)

// Cell is a piece of a row.
type Cell struct {
	Text  string
	Style Style
}

// Columns collects rows and prints them aligned.
type Columns struct {
	rows  [][]Cell
	below map[int]string
}

// Row adds a row.
func (c *Columns) Row(cells ...Cell) { c.rows = append(c.rows, cells) }

// Below sets the line that stands below the last row, outside of the columns.
func (c *Columns) Below(line string) {
	if c.below == nil {
		c.below = make(map[int]string)
	}
	c.below[len(c.rows)-1] = line
}

// Len returns the number of rows.
func (c *Columns) Len() int { return len(c.rows) }

// Print prints the rows, two spaces between columns and none at the end of a
// line. Columns that are empty in every row are left out.
func (c *Columns) Print(o *Output) {
	var widths []int
	for _, row := range c.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.Text))
		}
	}
	for n, row := range c.rows {
		var line strings.Builder
		pad := 0
		for i, cell := range row {
			if widths[i] == 0 {
				continue
			}
			if cell.Text != "" {
				line.WriteString(strings.Repeat(" ", pad))
				line.WriteString(o.Paint(cell.Style, cell.Text))
				pad = 0
			}
			pad += widths[i] - utf8.RuneCountInString(cell.Text) + 2
		}
		o.Printf("%s\n", line.String())
		if b := c.below[n]; b != "" {
			o.Printf("%s\n", b)
		}
	}
}
