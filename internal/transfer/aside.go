package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/exchange"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
)

// Aside is what the tables of other tools said beyond what a history and its
// seen index hold: host names, the kernel's states and ages, rows without a
// time. It lies in a file beside the history and fills in exports. The zero value
// is empty.
type Aside struct {
	pairs    map[pair]remark
	nameless []remark       // bindings of host names, in the order of their file
	names    map[string]int // in nameless, by host
}

// pair is a binding.
type pair struct {
	key arp.Key
	mac ethernet.Addr
}

// remark is a line of the file.
type remark struct {
	Format    string             `json:"format"`
	Key       string             `json:"key,omitempty"` // as arp.Key writes it; empty for a host name without an address
	MAC       ethernet.Addr      `json:"mac"`
	Host      string             `json:"host,omitempty"`
	Interface string             `json:"iface,omitempty"`
	Vendor    string             `json:"vendor,omitempty"`
	Static    bool               `json:"static,omitempty"`
	Kernel    *exchange.Neighbor `json:"kernel,omitempty"`
	First     time.Time          `json:"first,omitzero"` // as the row had them
	Seen      time.Time          `json:"seen,omitzero"`
	As        time.Time          `json:"as"` // the time of sighting that it was imported with
}

// AsidePath returns the file of a branch, for a repository in a directory.
func AsidePath(dir, branch string) string {
	seen := filepath.Base(versioned.SeenPath(dir, branch))
	return filepath.Join(dir, strings.Replace(seen, "arp-seen", "arp-aside", 1))
}

// maxRemark bounds a line of the file.
const maxRemark = 1 << 16

// LoadAside reads a file of at most limit lines. One that is not there is empty;
// of a damaged one it returns what stands before the damage, with an error.
func LoadAside(path string, limit int) (*Aside, error) {
	x := &Aside{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return x, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxRemark)
	n := 0
	for ; n < limit && lines.Scan(); n++ {
		var r remark
		err := json.Unmarshal(lines.Bytes(), &r)
		var k arp.Key
		if err == nil && r.Key != "" {
			k, err = arp.ParseKey(r.Key)
		}
		if err != nil {
			return x, fmt.Errorf("%s: line %d: %w", path, n+1, err)
		}
		x.put(k, r)
	}
	if err := lines.Err(); err != nil {
		return x, fmt.Errorf("%s: line %d: %w", path, n+1, err)
	}
	return x, nil
}

// Save replaces the file, and removes it when there is nothing to say.
func (x *Aside) Save(path string) error {
	if len(x.pairs)+len(x.nameless) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	keys := make([]pair, 0, len(x.pairs))
	for p := range x.pairs {
		keys = append(keys, p)
	}
	slices.SortFunc(keys, func(a, b pair) int {
		if c := versioned.CompareKeys(a.key, b.key); c != 0 {
			return c
		}
		return slices.Compare(a.mac[:], b.mac[:])
	})
	for _, p := range keys {
		err = errors.Join(err, enc.Encode(x.pairs[p]))
	}
	for _, r := range x.nameless {
		err = errors.Join(err, enc.Encode(r))
	}
	if err = errors.Join(err, w.Flush(), f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

func (x *Aside) put(k arp.Key, r remark) {
	if r.Key == "" {
		i, ok := x.names[r.Host]
		if ok {
			x.nameless[i] = r
			return
		}
		if x.names == nil {
			x.names = make(map[string]int)
		}
		x.names[r.Host] = len(x.nameless)
		x.nameless = append(x.nameless, r)
		return
	}
	if x.pairs == nil {
		x.pairs = make(map[pair]remark)
	}
	x.pairs[pair{k, r.MAC}] = r
}

// note keeps what a row says beyond a history. Key and as are those that it is
// imported with; the key of a row without an address is invalid.
func (x *Aside) note(format string, row *exchange.Row, k arp.Key, as time.Time) {
	r := remark{Format: format, MAC: row.MAC, Host: row.Host, Interface: row.Interface, Vendor: row.Vendor, Static: row.State == exchange.Static,
		Kernel: row.Kernel, First: row.First, Seen: row.Seen, As: as}
	if k.Addr.IsValid() {
		r.Key = k.String()
	}
	x.put(k, r)
}

// fill completes a row of an export of the latest state, or (now false) of an
// earlier one. Where the station was seen after the import, what its table said
// about states and times is old; and times that a row lacked are lacking only in
// its own format.
func (x *Aside) fill(format string, row *exchange.Row, now bool) {
	r, ok := x.pairs[pair{row.Key, row.MAC}]
	if !ok {
		return
	}
	row.Host = r.Host
	if r.Interface != "" {
		row.Interface = r.Interface
	}
	if row.Vendor == "" || r.Vendor != "" {
		row.Vendor = r.Vendor
	}
	if now && !row.Seen.After(r.As) {
		if format == r.Format {
			row.First, row.Seen = r.First, r.Seen
		}
		if r.Static == (row.State == exchange.Static) {
			row.Kernel = r.Kernel
		}
	}
}

// hosts returns the bindings of names without an address.
func (x *Aside) hosts() (rows []exchange.Row) {
	for _, r := range x.nameless {
		row := exchange.Row{MAC: r.MAC, Host: r.Host}
		if r.Static {
			row.State = exchange.Static
		}
		rows = append(rows, row)
	}
	return rows
}
