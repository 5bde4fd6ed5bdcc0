package main

import (
	"errors"
	"strings"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

// entryJSON is an entry of an ARP table for programs.
type entryJSON struct {
	Address   string     `json:"address"`
	Domain    string     `json:"domain"`
	VLAN      string     `json:"vlan,omitempty"` // 5, or 100.5 for two tags
	State     string     `json:"state"`          // dynamic, static, expired
	MAC       string     `json:"mac"`
	Earlier   []string   `json:"earlier,omitempty"` // newest first
	FirstSeen time.Time  `json:"first_seen"`
	Learned   string     `json:"learned"`
	Interface string     `json:"interface,omitempty"`
	Node      string     `json:"node"`
	Deadline  *time.Time `json:"deadline,omitempty"`
	Clock     int64      `json:"clock"`
}

func toEntryJSON(row versioned.Row) *entryJSON {
	e := row.Entry
	j := &entryJSON{
		Address: row.Key.Addr.String(), Domain: row.Key.Domain, State: e.State.String(), MAC: e.MAC.String(),
		FirstSeen: time.Unix(e.FirstSeen, 0).UTC(), Learned: e.Learned, Interface: e.Interface, Node: e.Node, Clock: e.Clock,
	}
	if !row.Key.VLAN.IsZero() {
		j.VLAN = row.Key.VLAN.String()
	}
	for _, m := range e.Earlier {
		if !m.IsZero() {
			j.Earlier = append(j.Earlier, m.String())
		}
	}
	if e.Deadline != 0 {
		t := time.Unix(e.Deadline, 0).UTC()
		j.Deadline = &t
	}
	return j
}

// row reads an entry of a table; ok is false for files that are none.
func (s *session) row(path string, e vcs.TreeEntry) (row versioned.Row, ok bool, err error) {
	k, isKey := versioned.Layout{}.Key(path)
	if !isKey || e.ID.IsZero() || e.Mode.Kind() != vcs.KindBlob {
		return row, false, nil
	}
	_, content, err := s.Store.ReadObject(e.ID)
	if err != nil {
		return row, false, err
	}
	entry, err := versioned.Decode(content)
	if errors.Is(err, versioned.ErrEntry) {
		return row, false, nil
	}
	return versioned.Row{Key: k, Entry: entry}, err == nil, err
}

// entry is row for programs, nil for files that are no entries.
func (s *session) entry(path string, e vcs.TreeEntry) (*entryJSON, error) {
	row, ok, err := s.row(path, e)
	if !ok {
		return nil, err
	}
	return toEntryJSON(row), nil
}

// place names the domain and VLAN of a row where they are not the usual ones.
func place(row versioned.Row) string {
	p := row.Key.String()
	return strings.TrimSuffix(p[:len(p)-len(row.Key.Addr.String())], "/")
}

// row prints one change of a table as one line.
func (d *differ) row(out *cli.Columns, ch vcs.TreeChange) error {
	old, hadOld, err := d.session.row(ch.Path, ch.Old)
	if err != nil {
		return err
	}
	now, hasNow, err := d.session.row(ch.Path, ch.New)
	if err != nil {
		return err
	}
	was := hadOld && old.Entry.State != versioned.Expired
	is := hasNow && now.Entry.State != versioned.Expired
	key := now
	if !hasNow {
		key = old
	}
	if !hadOld && !hasNow {
		letter, _ := status(ch)
		out.Row(cli.Cell{Text: letter, Style: cli.Changed}, cli.Cell{Text: history.Quote(ch.Path)})
		return nil
	}
	mark, style, text := "~", cli.Changed, ""
	switch {
	case !was && is:
		mark, style, text = "+", cli.Added, now.Entry.MAC.String()
	case was && !is:
		mark, style, text = "-", cli.Removed, old.Entry.MAC.String()
	case !was && !is:
		mark, text = ".", "(was "+key.Entry.MAC.String()+")"
	case old.Entry.MAC == now.Entry.MAC:
		text = now.Entry.MAC.String()
	default:
		text = old.Entry.MAC.String() + " -> " + now.Entry.MAC.String()
	}
	out.Row(cli.Cell{Text: mark, Style: style}, cli.Cell{Text: key.Key.Addr.String()}, cli.Cell{Text: place(key)},
		cli.Cell{Text: text, Style: style}, cli.Cell{Text: outcome(old, now, was, is, hasNow), Style: cli.Faint})
	return nil
}

// outcome says in words what became of an entry, which held or did not before
// and after; there is whether it still has a file.
func outcome(old, now versioned.Row, was, is, there bool) string {
	switch {
	case !is && there:
		return "expired"
	case !is:
		return "removed"
	case was && old.Entry.State != now.Entry.State:
		return old.Entry.State.String() + " -> " + now.Entry.State.String()
	}
	return now.Entry.Learned
}
