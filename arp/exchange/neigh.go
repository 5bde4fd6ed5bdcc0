package exchange

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// neigh is an element of what `ip -j neigh` prints, with iproute2's names in
// iproute2's order (ip/ipneigh.c, print_neigh). A flag is there with the value
// null.
type neigh struct {
	Dst       string           `json:"dst"`
	Dev       string           `json:"dev,omitempty"`
	LLAddr    string           `json:"lladdr,omitempty"`
	Router    *json.RawMessage `json:"router,omitempty"`
	Refs      int              `json:"refcnt,omitempty"`
	Used      *int             `json:"used,omitempty"`
	Confirmed *int             `json:"confirmed,omitempty"`
	Updated   *int             `json:"updated,omitempty"`
	Probes    *int             `json:"probes,omitempty"`
	State     []string         `json:"state"`
}

// readNeigh yields the elements of one JSON array, or of several. What has no
// MAC yet (INCOMPLETE, FAILED) is no binding and is left out.
func readNeigh(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		bad := func(err error) { yield(Row{}, fmt.Errorf("%w: want what ip -j neigh prints: %w", ErrFormat, err)) }
		dec := json.NewDecoder(bufio.NewReader(r))
		n := 0
		for {
			t, err := dec.Token()
			if err == io.EOF {
				return
			}
			if err == nil && t != json.Delim('[') {
				err = fmt.Errorf("found %v instead of [", t)
			}
			if err != nil {
				bad(err)
				return
			}
			for dec.More() {
				var raw json.RawMessage
				if err := dec.Decode(&raw); err != nil {
					bad(err)
					return
				}
				n++
				row, ok, err := neighRow(raw)
				if err != nil {
					err, ok = &LineError{Line: n, Element: true, Text: string(raw), Err: err}, true
				}
				if ok && !yield(row, err) {
					return
				}
			}
			if _, err := dec.Token(); err != nil {
				bad(err)
				return
			}
		}
	}
}

func neighRow(raw []byte) (row Row, ok bool, err error) {
	// A flag with the value null sets no pointer, so its name is looked for.
	var names map[string]json.RawMessage
	var n neigh
	if err := json.Unmarshal(raw, &names); err != nil {
		return row, true, errors.New("not an object")
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return row, true, err
	}
	if n.LLAddr == "" {
		return row, false, nil
	}
	if row.Key.Addr, err = parseAddr(n.Dst); err != nil {
		return row, true, err
	}
	if row.MAC, err = parseMAC(n.LLAddr); err != nil {
		return row, true, err
	}
	row.Interface = n.Dev
	k := &Neighbor{States: n.State}
	_, k.Router = names["router"]
	if n.Used != nil && n.Confirmed != nil && n.Updated != nil && n.Probes != nil {
		k.Stats = &NeighborStats{n.Refs, *n.Used, *n.Confirmed, *n.Updated, *n.Probes}
	}
	for _, s := range n.State {
		if s == "PERMANENT" {
			row.State = Static
		}
	}
	row.Kernel = k
	return row, true, nil
}

// writeNeigh writes one array on one line, as ip does. A row that does not come
// from a kernel is STALE, which is what a kernel makes of a binding that nothing
// has confirmed yet; a pin is PERMANENT.
func writeNeigh(w io.Writer, rows iter.Seq[Row]) (left int, err error) {
	out := bufio.NewWriter(w)
	out.WriteByte('[') // errors stay in out
	first := true
	for row := range rows {
		if !row.Key.VLAN.IsZero() {
			left++ // the kernel's VLANs are interfaces
			continue
		}
		n := neigh{Dst: row.Key.Addr.String(), Dev: row.Interface, LLAddr: row.MAC.String(), State: []string{"STALE"}}
		if row.State == Static {
			n.State = []string{"PERMANENT"}
		}
		if k := row.Kernel; k != nil {
			n.State = append([]string{}, k.States...)
			if k.Router {
				null := json.RawMessage("null")
				n.Router = &null
			}
			if s := k.Stats; s != nil {
				n.Refs, n.Used, n.Confirmed, n.Updated, n.Probes = s.Refs, &s.Used, &s.Confirmed, &s.Updated, &s.Probes
			}
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(n); err != nil {
			return left, err
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	}
	out.WriteString("]\n")
	return left, out.Flush()
}
