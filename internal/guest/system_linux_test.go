package guest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/internal/control"
	"arpeggio/vmimage"
)

func TestRunIsForTheFirstProcessOnly(t *testing.T) {
	if IsInit() {
		t.Skip("this test is the first process of a machine")
	}
	if err := Run(Config{}, func(context.Context, Env) error { t.Error("served"); return nil }); err == nil {
		t.Error("no error")
	}
}

func superOf(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := vmimage.CreateDisk(path, 0); err != nil {
		t.Fatal(err)
	}
	super, err := readSuper(path)
	if err != nil {
		t.Fatal(err)
	}
	return super
}

// The guest and the image package state the disk's identity each on its own;
// this is where they meet.
func TestSuperblockOfANewDisk(t *testing.T) {
	super := superOf(t)
	if err := checkSuper(super); err != nil {
		t.Error(err)
	}
	if dataLabel != vmimage.DiskLabel || dataUUID != strings.ReplaceAll(vmimage.DiskUUID, "-", "") {
		t.Error("label or UUID differ")
	}
	for name, c := range map[string]struct {
		at   int
		says string
	}{
		"magic": {superMagic, "not an ext4"}, "label": {superLabel, "somebody else's"},
		"UUID": {superUUID + 3, "somebody else's"}, "error flag": {superState, "marked as damaged"},
	} {
		bad := bytes.Clone(super)
		bad[c.at] ^= 2
		err := checkSuper(bad)
		if f, ok := errors.AsType[*Fatal](err); !ok || !strings.Contains(f.Message, c.says) || !strings.Contains(f.Remedy, "nothing was written") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkSuper(make([]byte, 1024)); err == nil || !strings.Contains(err.Error(), "blank") {
		t.Errorf("blank disk: %v", err)
	}
}

func FuzzCheckSuper(f *testing.F) {
	f.Add(superOf(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		super := make([]byte, 1024)
		copy(super, b)
		if checkSuper(super) == nil && !bytes.Contains(super, []byte(dataLabel)) {
			t.Error("accepted without the label")
		}
	})
}

func TestMarker(t *testing.T) {
	path := filepath.Join(t.TempDir(), markerFile)
	for _, c := range []struct{ text, says string }{
		{"format 1\nanything\n", ""},
		{"format 1", ""},
		{"format 2\n", "format 2, this program knows up to 1"},
		{"format 0\n", "damaged"},
		{"format one\n", "damaged"},
		{"", "damaged"},
		{"#!/bin/sh\n", "damaged"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkMarker(path)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	if err := checkMarker(path + "x"); err == nil || !strings.Contains(err.Error(), "is not ours") {
		t.Errorf("no marker: %v", err)
	}
}

func TestVerify(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	good := Params{Size: int64(len(b)), Complete: exe}
	for _, c := range []struct {
		name   string
		change func(*Params)
		says   string
	}{
		{"good", func(*Params) {}, ""},
		{"nothing promised", func(p *Params) { *p = Params{} }, ""},
		{"shorter", func(p *Params) { p.Size++ }, fmt.Sprintf("cut off: %d of %d octets", len(b), len(b)+1)},
		{"other content", func(p *Params) { p.SHA256[0] = 1 }, "SHA-256"},
		{"cut behind the binary", func(p *Params) { p.Complete += "x" }, "cut off behind"},
	} {
		p := good
		c.change(&p)
		err := verify(p)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPowerKey(t *testing.T) {
	event := func(typ, code, value string) string {
		return strings.Repeat("00", inputTypeOffset) + typ + code + value
	}
	const key, sync, press, release = "0100", "0000", "01000000", "00000000"
	for _, c := range []struct {
		name, events string
		want         bool
	}{
		{"press", event(key, "7400", press), true},
		{"press after another key", event(key, "1e00", press) + event(sync, "0000", release) + event(key, "7400", press), true},
		{"release", event(key, "7400", release), false},
		{"another key", event(key, "7300", press), false},
		{"not a key", event("0400", "7400", press), false},
		{"half an event", event(key, "7400", press)[:46], false},
		{"nothing", "", false},
	} {
		b, err := hex.DecodeString(c.events)
		if err != nil {
			t.Fatal(err)
		}
		if got := powerKey(b); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestReadyLine(t *testing.T) {
	var console strings.Builder
	e := Env{console: &console, boot: time.Now()}
	urls := map[string]string{"site": "http://10.0.2.15/", "git": "http://10.0.2.15:81/arp.git"}
	if err := e.Ready([]string{"10.0.2.15/24"}, urls, ""); err != nil {
		t.Error(err)
	}
	if got, want := console.String(), "arpeggio: ready 10.0.2.15/24 git=http://10.0.2.15:81/arp.git site=http://10.0.2.15/\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A host that does not read must not stop the guest's log.
func TestLogNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := net.Pipe()
		g := control.NewGuest(guest, nil, control.GuestConfig{Stop: func(string) {}})
		f := newLogForwarder(g)
		log := slog.New(f.handler(&slog.HandlerOptions{Level: slog.LevelInfo})).With("who", "test").WithGroup("g")
		for i := range 1000 {
			log.Info("line", "i", i)
			log.Debug("not this one")
		}
		synctest.Wait()
		c := control.NewConn(host)
		first, err := c.Receive()
		if err != nil || first.Log == nil || first.Log.Text != "msg=line who=test g.i=0" || first.Log.Level != "INFO" {
			t.Errorf("first: %+v %v", first.Log, err)
		}
		synctest.Wait()
		log.Warn("room again")
		go f.close()
		last, n := first, 1
		for done := false; !done; {
			m, err := c.Receive()
			if err != nil {
				t.Fatal(err)
			}
			last, n = m, n+1
			done = strings.Contains(m.Log.Text, "room again")
		}
		if n >= 1000 || !strings.Contains(last.Log.Text, "were dropped") {
			t.Errorf("%d records, last %+v", n, last.Log)
		}
		g.Close()
		c.Close()
		synctest.Wait()
		log.Info("after the end")
	})
}
