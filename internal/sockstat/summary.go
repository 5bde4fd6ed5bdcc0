package sockstat

import (
	"fmt"
	"io"
	"reflect"
)

// Summary is ss -s: how many sockets there are, and what the stack has counted.
type Summary struct {
	Total int            `json:"total"`
	TCP   map[string]int `json:"tcp"` // by state, as Socket.State has it
	UDP   map[string]int `json:"udp"`
	// Scalars are what the MIBs tell beside counters: tcpRtoMin and others.
	Scalars map[string]int64  `json:"scalars"`
	Counts  map[string]uint64 `json:"counts"` // by the names of the MIBs, and by reason: tcpActiveOpens, TCP.BadChecksum

	scalars, order []string // the names, in order
}

// Summarize counts the sockets of a snapshot.
func Summarize(s *Snapshot) Summary {
	sum := Summary{Total: len(s.Sockets), TCP: map[string]int{}, UDP: map[string]int{}, Scalars: map[string]int64{}, Counts: map[string]uint64{}}
	for i, v := 0, reflect.ValueOf(s.TCP); i < v.NumField(); i++ {
		name := v.Type().Field(i).Tag.Get("mib")
		sum.scalars = append(sum.scalars, name)
		sum.Scalars[name] = v.Field(i).Int()
	}
	for i := range s.Sockets {
		k := &s.Sockets[i]
		if k.Proto == "udp" {
			sum.UDP[k.State]++
		} else {
			sum.TCP[k.State]++
		}
	}
	sum.count("", reflect.ValueOf(s.Stats))
	if s.Recording != nil {
		sum.count("Recording.", reflect.ValueOf(*s.Recording))
	}
	return sum
}

// count takes in the counters of a struct, under the name of the MIB where there
// is one.
func (sum *Summary) count(prefix string, v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Type().Field(i); {
		case f.Anonymous:
			sum.count(prefix, v.Field(i))
		case f.Type.Kind() == reflect.Struct:
			sum.count(prefix+f.Name+".", v.Field(i))
		default:
			name := f.Tag.Get("mib")
			if name == "" {
				name = prefix + f.Name
			}
			sum.order = append(sum.order, name)
			sum.Counts[name] = v.Field(i).Uint()
		}
	}
}

// Print writes the summary for people: what is zero is left out of the counters.
func (sum *Summary) Print(w io.Writer) error {
	tcp, udp := 0, 0
	for _, n := range sum.TCP {
		tcp += n
	}
	for _, n := range sum.UDP {
		udp += n
	}
	_, err := fmt.Fprintf(w, "Total: %d\nTCP:   %d (estab %d, opening %d, closing %d, timewait %d, listen %d)\nUDP:   %d\n\n", sum.Total,
		tcp, sum.TCP["ESTAB"], sum.TCP["SYN-SENT"]+sum.TCP["SYN-RECV"],
		sum.TCP["FIN-WAIT-1"]+sum.TCP["FIN-WAIT-2"]+sum.TCP["CLOSE-WAIT"]+sum.TCP["CLOSING"]+sum.TCP["LAST-ACK"], sum.TCP["TIME-WAIT"], sum.TCP["LISTEN"], udp)
	for _, name := range sum.scalars {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-34s %d\n", name, sum.Scalars[name])
		}
	}
	for _, name := range sum.order {
		if n := sum.Counts[name]; n > 0 && err == nil {
			_, err = fmt.Fprintf(w, "%-34s %d\n", name, n)
		}
	}
	return err
}
