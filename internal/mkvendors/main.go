// Command mkvendors renews the table that arp/vendors embeds from the text files
// of the IEEE Registration Authority in a directory: oui.txt, mam.txt, oui36.txt
// and iab.txt. Debian's package ieee-data installs them in /usr/share/ieee-data,
// https://standards-oui.ieee.org has the latest.
//
//	go run ./internal/mkvendors -out arp/vendors/registry.bin /usr/share/ieee-data
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"arpeggio/arp/vendors"
)

func main() {
	out := flag.String("out", "arp/vendors/registry.bin", "write the table to this `file`")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mkvendors [-out FILE] DIR")
		os.Exit(2)
	}
	line, err := renew(flag.Arg(0), *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkvendors:", err)
		os.Exit(1)
	}
	fmt.Println(line)
}

// renew makes a table of the files in a directory. The source that it names has
// the date of the latest of them.
func renew(dir, out string) (string, error) {
	var all []vendors.Assignment
	var date time.Time
	for _, name := range []string{"oui.txt", "mam.txt", "oui36.txt", "iab.txt"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		some, err := vendors.Parse(f)
		if st, e := f.Stat(); e == nil && st.ModTime().After(date) {
			date = st.ModTime()
		}
		f.Close()
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Name(), err)
		}
		all = append(all, some...)
	}
	source := "IEEE Registration Authority, " + date.UTC().Format(time.DateOnly)
	b, err := vendors.Encode(source, all)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(out, b, 0o666); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d assignments, %d octets, %s", out, len(all), len(b), source), nil
}
