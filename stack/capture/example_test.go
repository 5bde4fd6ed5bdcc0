package capture_test

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"arpeggio/stack/capture"
)

// Writing a file and reading it again; what is written here, tcpdump and
// Wireshark read too.
func Example() {
	var file bytes.Buffer
	w, err := capture.NewWriter(&file, capture.WriterConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	id, _ := w.AddInterface(capture.Interface{Name: "tap0"})
	w.WritePacket(capture.Packet{
		Time:      time.Unix(1_800_000_000, 1),
		Interface: id,
		Direction: capture.In,
		Data:      make([]byte, 60),
		Comment:   "let 10.9.0.7 into the table",
	})
	if err := w.Flush(); err != nil {
		fmt.Println(err)
		return
	}

	r, err := capture.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Time.UTC().Format(time.RFC3339Nano), r.Interfaces()[p.Interface].Name, len(p.Data), p.Comment)
	}
	// Output: 2027-01-15T08:00:00.000000001Z tap0 60 let 10.9.0.7 into the table
}
