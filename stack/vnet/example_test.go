package vnet_test

import (
	"fmt"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// Two stations on a switch; the cable to the second one loses half of what it
// carries, the same half on each run.
func Example() {
	sw := vnet.New(vnet.Config{Seed: 2015})
	defer sw.Close()
	alice, err := sw.Port(vnet.PortConfig{Name: "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	bob, err := sw.Port(vnet.PortConfig{Name: "bob", Egress: vnet.Impairment{Loss: 0.5}})
	if err != nil {
		fmt.Println(err)
		return
	}

	h := ethernet.Header{Dst: bob.Info().Addr, Src: alice.Info().Addr, Type: 0x88b5}
	for i := range 8 {
		alice.WriteFrames([]link.Frame{{Head: append(h.AppendTo(nil), byte('0'+i))}})
	}
	frames := make([]link.Frame, 8)
	if err := bob.Wait(time.Now().Add(time.Second)); err != nil {
		fmt.Println(err)
		return
	}
	n, _ := bob.ReadFrames(frames)
	for _, f := range frames[:n] {
		fmt.Printf("%s ", f.Head[ethernet.HeaderLen:])
	}
	fmt.Println("arrived,", bob.Stats().Rx.Dropped[vnet.DropLoss], "lost")
	// Output: 0 3 4 5 7 arrived, 3 lost
}
