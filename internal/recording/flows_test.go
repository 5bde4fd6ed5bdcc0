package recording

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Two connections between the same ends are two.
func TestFlowsAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "t.pcapng")
	written(t, name, append(life(), life()...)...)
	var flows Flows
	if _, err := Show(name, nil, func(p *Packet) error { flows.Add(p); return nil }); err != nil {
		t.Fatal(err)
	}
	if all := flows.All(); len(all) != 2 || all[0].In != all[1].In || all[1].First.Unix() != 1_800_000_007 {
		t.Errorf("%d flows", len(all))
	}
}

// However many changes of state a file tells of, a connection keeps those that one
// can go through: what a packet costs does not grow with the file.
func TestFlowsBound(t *testing.T) {
	ends := netip.MustParseAddrPort("10.0.0.1:80")
	var flows Flows
	begin := Packet{Comment: Comment{Connection: &Connection{"tcp", ends, ends}, States: slices.Repeat([]Change{{"LISTEN", "SYN-RECEIVED"}}, 1000)}}
	for range 20_000 {
		flows.Add(&begin)
	}
	if all := flows.All(); len(all) != 1 || all[0].In != 20_000 || len(all[0].States) > maxStates || cap(all[0].States) > 2*maxStates {
		t.Errorf("%d flows, the first with %d packets and %d states", len(all), all[0].In, len(all[0].States))
	}
	// The end is known also beyond those that are kept.
	begin.States = []Change{{"LAST-ACK", "CLOSED"}}
	flows.Add(&begin)
	begin.States = []Change{{"LISTEN", "SYN-RECEIVED"}}
	flows.Add(&begin)
	if all := flows.All(); len(all) != 2 || all[1].In != 1 {
		t.Errorf("%d flows after an end", len(all))
	}
	flows.list = make([]*Flow, maxFlows)
	p := Packet{Comment: Comment{Connection: &Connection{"udp", ends, ends}}}
	flows.Add(&p)
	if flows.Left != 1 || len(flows.All()) != maxFlows {
		t.Errorf("%d packets left out, %d flows", flows.Left, len(flows.All()))
	}
}

// dated makes a pcapng file with a packet at each of the times, in units of
// seconds, moved by an offset.
func dated(t *testing.T, name string, offset int64, times ...uint64) {
	t.Helper()
	le := binary.LittleEndian
	block := func(kind uint32, body []byte) []byte {
		n := uint32(12 + len(body))
		b := le.AppendUint32(le.AppendUint32(nil, kind), n)
		return le.AppendUint32(append(b, body...), n)
	}
	file := block(0x0a0d0d0a, slices.Concat(le.AppendUint32(nil, 0x1a2b3c4d), []byte{1, 0, 0, 0}, slices.Repeat([]byte{0xff}, 8)))
	iface := []byte{1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 14, 0, 8, 0} // if_tsresol 0, if_tsoffset
	file = append(file, block(1, append(le.AppendUint64(iface, uint64(offset)), 0, 0, 0, 0))...)
	data := life()[0]
	for _, at := range times {
		b := make([]byte, 4)
		for _, w := range []uint32{uint32(at >> 32), uint32(at), uint32(len(data.Data)), uint32(len(data.Data))} {
			b = le.AppendUint32(b, w)
		}
		b = append(b, data.Data...)
		b = append(b, make([]byte, -len(b)&3)...)
		b = le.AppendUint16(le.AppendUint16(b, 1), uint16(len(data.Comment)))
		b = append(b, data.Comment...)
		b = append(b, make([]byte, -len(b)&3+4)...)
		file = append(file, block(6, b)...)
	}
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Times that no calendar has are left out, and told; a connection lasts no less than
// nothing, whatever the order of its packets' times.
func TestDamagedTimes(t *testing.T) {
	const good = 1_800_000_000
	for name, tc := range map[string]struct {
		offset      int64
		times       []uint64
		first, last int64 // 0: none
		damaged     int
	}{
		"good":           {0, []uint64{good, good + 5}, good, good + 5, 0},
		"backwards":      {0, []uint64{good + 5, good}, good, good + 5, 0},
		"beyond 9999":    {0, []uint64{good, 253402300800, good + 1}, good, good + 1, 1},
		"last of 9999":   {0, []uint64{253402300799}, 253402300799, 253402300799, 0},
		"all ones":       {0, []uint64{math.MaxUint64}, -1, -1, 0}, // the second before 1970
		"largest":        {0, []uint64{math.MaxInt64}, 0, 0, 1},
		"before the era": {math.MinInt64, []uint64{0, 1 << 62}, 0, 0, 2},
		"moved over":     {math.MaxInt64, []uint64{math.MaxInt64}, -2, -2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "t.pcapng")
			dated(t, file, tc.offset, tc.times...)
			var flows Flows
			damaged := 0
			st, err := Show(file, nil, func(p *Packet) error {
				if strings.Contains(p.Info, "its time is damaged") {
					damaged++
				}
				flows.Add(p)
				_, err := json.Marshal(p)
				return err
			})
			if err != nil || st.Packets != uint64(len(tc.times)) || damaged != tc.damaged {
				t.Errorf("%d packets, %d damaged, %v", st.Packets, damaged, err)
			}
			f := flows.All()[0]
			unix := func(t time.Time) int64 {
				if t.IsZero() {
					return 0
				}
				return t.Unix()
			}
			if unix(f.First) != tc.first || unix(f.Last) != tc.last || f.Last.Sub(f.First) < 0 {
				t.Errorf("from %v to %v", f.First, f.Last)
			}
			if _, err := json.Marshal(f); err != nil {
				t.Error(err)
			}
		})
	}
}

// A time zone east of Greenwich makes the year 10000 of the end of 9999.
func TestTimesAreUTC(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.pcapng")
	dated(t, file, 0, 253402300799)
	if _, err := Show(file, nil, func(p *Packet) error {
		if p.Time.Location() != time.UTC || p.Time.Year() != 9999 {
			t.Errorf("%v", p.Time)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Packets without a time, as simple packet blocks are, belong to a connection that
// has none.
func TestFlowWithoutTimes(t *testing.T) {
	var flows Flows
	ends := netip.MustParseAddrPort("10.0.0.1:80")
	p := Packet{Direction: "out", Comment: Comment{Connection: &Connection{"tcp", ends, ends}}}
	flows.Add(&p)
	if f := flows.All()[0]; !f.First.IsZero() || !f.Last.IsZero() || f.Out != 1 {
		t.Errorf("%+v", f)
	}
}
