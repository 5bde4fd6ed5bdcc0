package exchange

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Format is a file format. Its functions are safe for concurrent use.
type Format struct {
	Name    string
	Meaning string // one line
	// Read yields the rows of a file. An error that is no *LineError is the
	// last; one that wraps ErrFormat says that the file is something else.
	Read func(io.Reader) iter.Seq2[Row, error]
	// Write writes rows in their order. Rows that the format cannot hold (IPv6
	// in some, VLANs in most) are left out and counted. Nil: the format is read
	// only.
	Write func(io.Writer, iter.Seq[Row]) (left int, err error)
}

// Formats returns all formats, by name.
func Formats() []Format {
	return []Format{
		{"addrwatch", "addrwatch's text output, a sighting a line", readAddrwatch, nil},
		{"arp.dat", "arpwatch's database, a pair of MAC and address a line", readArpDat, writeArpDat},
		{"csv", "comma-separated values with a heading (RFC 4180)", readCSV, writeCSV},
		{"ethers", "/etc/ethers, permanent bindings (ethers(5))", readEthers, writeEthers},
		{"neigh", "the kernel's neighbour table as ip -j neigh prints it", readNeigh, writeNeigh},
	}
}

// Lookup returns the format with that name. The error lists the names there are.
func Lookup(name string) (Format, error) {
	all := Formats()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("exchange: no format %q: there are %s", name, strings.Join(names, ", "))
}
