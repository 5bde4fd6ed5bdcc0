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

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
)

func main() {
	err := guest.Run(guest.Config{Version: "testinit"}, serve)
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
	env.Control.HandleHealth(func() map[string]int64 { return map[string]int64{"frames": 0} })
	env.Control.HandleExport(export)
	env.Logger.Info("testinit serves", "card", env.Card.Name)
	if env.Params.Extra["panic"] != "" {
		panic(env.Params.Extra["panic"])
	}
	urls := map[string]string{"mac": hex.EncodeToString(env.Card.Addr[:])}
	if err := env.Ready([]string{env.Params.Address.String()}, urls, data); err != nil {
		return err
	}
	<-ctx.Done()
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
	if err := f.Close(); err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

func export(what control.Export, w io.Writer) error {
	if what.What != "octets" {
		return fmt.Errorf("no %s here", what.What)
	}
	_, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("arpeggio ", 200_000)), 1_500_000))
	return err
}
