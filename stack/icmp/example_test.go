package icmp_test

import (
	"fmt"

	"arpeggio/stack/icmp"
)

func Example() {
	ping := icmp.NewEcho(1, 7, []byte("are you there?"))
	got, err := icmp.Parse(ping.AppendTo(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	pong := got.Reply()
	fmt.Println(pong.Type == icmp.EchoReply, pong.ID(), pong.Seq(), string(pong.Body))
	// Output: true 1 7 are you there?
}
