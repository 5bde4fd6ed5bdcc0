package tuntap_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// The other end of a virtual machine's wire. With a real machine, conn is what
// Accept returns for `-netdev stream,id=n0,server=off,addr.type=unix,addr.path=…`.
func ExampleNewStreamWire() {
	conn, machine := net.Pipe()
	wire := tuntap.NewStreamWire(conn, link.Info{Name: "vm"})
	defer wire.Close()

	go func() { // the machine sends one frame
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: ethernet.Addr{2, 0, 0, 0, 0, 1}, Type: 0x88b5}
		frame := append(h.AppendTo(nil), "hello from the guest"...)
		machine.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
		io.Copy(io.Discard, machine)
	}()

	frames := make([]link.Frame, 1)
	for {
		n, err := wire.ReadFrames(frames)
		if err != nil {
			fmt.Println(err)
			return
		}
		if n == 1 {
			break
		}
		wire.Wait(time.Now().Add(time.Second))
	}
	h, payload, _ := ethernet.Parse(frames[0].Head)
	fmt.Println(h.Src, string(payload))
	// Output: 02:00:00:00:00:01 hello from the guest
}
