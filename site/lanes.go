package site

import "slices"

// row is one commit's strip of the history graph.
type row struct {
	Col    int    // the column of the commit's mark
	Width  int    // columns in use, for the picture's width
	Merge  bool   // has two or more parents
	Root   bool   // has none
	Links  []link // lines from the top of the row to its bottom
	Joins  []int  // columns from whose top a line ends in the mark
	Leaves []int  // columns to whose bottom a line starts from the mark
}

// link is a line that passes a row by.
type link struct{ From, To int }

// maxLanes bounds the picture's width; a line further right is not drawn.
const maxLanes = 12

// lanes lays out a history, children before parents, one row a commit: each
// commit takes the column of the first child that waits for it, its first parent
// continues there, and further parents take the next free column.
func lanes(cs []Commit) []row {
	var waiting []string // by column: the commit that the line leads to; "" is free
	rows := make([]row, len(cs))
	for i, c := range cs {
		r := &rows[i]
		r.Col = slices.Index(waiting, c.ID)
		if r.Col < 0 {
			r.Col, waiting = claim(waiting, c.ID)
		} else {
			for col, id := range waiting {
				if id == c.ID {
					r.Joins = append(r.Joins, col)
				}
			}
		}
		for col, id := range waiting {
			switch id {
			case c.ID:
				waiting[col] = ""
			case "":
			default:
				r.Links = append(r.Links, link{col, col})
			}
		}
		r.Width = len(waiting)
		r.Merge, r.Root = len(c.Parents) > 1, len(c.Parents) == 0
		for n, p := range c.Parents {
			col := slices.Index(waiting, p)
			switch {
			case n == 0: // straight on; lines to the same parent meet at its mark
				col = r.Col
				waiting[col] = p
			case col < 0:
				col, waiting = claim(waiting, p)
			}
			r.Leaves = append(r.Leaves, col)
		}
		r.Width = max(r.Width, len(waiting))
		for len(waiting) > 0 && waiting[len(waiting)-1] == "" {
			waiting = waiting[:len(waiting)-1]
		}
	}
	return rows
}

// claim puts id into the leftmost free column.
func claim(waiting []string, id string) (int, []string) {
	if col := slices.Index(waiting, ""); col >= 0 {
		waiting[col] = id
		return col, waiting
	}
	return len(waiting), append(waiting, id)
}
