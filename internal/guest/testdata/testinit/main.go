// Command testinit is the first process of the machines that the boot tests
// start: it uses package guest as a server would and serves nothing.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
)

func main() {
	err := guest.Run(guest.Config{Version: "testinit", Grace: time.Second}, serve)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(ctx context.Context, env guest.Env) error {
	data := "none"
	if env.DataDir != "" {
		boots, err := countBoot(filepath.Join(env.DataDir, "boots"))
		if err != nil {
			return err
		}
		data = boots
	}
	env.Control.HandleHealth(func() map[string]int64 { return map[string]int64{"answer": 42} })
	env.Control.HandleExport(func(what control.Export, w io.Writer) error { return export(env.Card, what, w) })
	env.Logger.Info("testinit serves", "card", env.Card.Name)
	if env.Params.Extra["panic"] != "" {
		panic(env.Params.Extra["panic"])
	}
	urls := map[string]string{"mac": hex.EncodeToString(env.Card.Addr[:])}
	if err := env.Ready([]string{env.Params.Address.String()}, urls, data); err != nil {
		return err
	}
	<-ctx.Done()
	if env.Params.Extra["hang"] != "" {
		f, err := os.Create(filepath.Join(env.DataDir, "open"))
		if err != nil {
			return err
		}
		for { // with the disk in use
			time.Sleep(time.Millisecond)
			if _, err := f.WriteString("more "); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// countBoot appends a line to the file and returns what it then holds.
func countBoot(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	if _, err := f.WriteString("boot "); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil { // some of the machines are killed
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// export answers "octets" with 1,500,000 of them and "frame" by sending one
// Ethernet frame on the card.
func export(card guest.Card, what control.Export, w io.Writer) error {
	switch what.What {
	case "octets":
		_, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("arpeggio ", 200_000)), 1_500_000))
		return err
	case "frame":
		return sendFrame(card)
	}
	return fmt.Errorf("no %s here", what.What)
}

func sendFrame(card guest.Card) error {
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, card.Addr[:]...)
	frame = append(frame, 0x88, 0xb5) // IEEE 802 local experimental EtherType 1
	frame = append(frame, make([]byte, 46)...)
	return unix.Sendto(s, frame, 0, &unix.SockaddrLinklayer{Ifindex: card.Index})
}
