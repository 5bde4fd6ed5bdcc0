package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/arp/vendors"
	"arpeggio/stack/ethernet"
)

func TestRenew(t *testing.T) {
	dir := t.TempDir()
	var files [2][]byte
	for i := range files {
		out := filepath.Join(dir, "registry.bin")
		line, err := renew("testdata", out)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(line, "7 assignments") {
			t.Errorf("it says %q", line)
		}
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if string(files[0]) != string(files[1]) {
		t.Error("two runs differ")
	}
	table, err := vendors.Decode(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(table.Source(), "IEEE Registration Authority, 2") {
		t.Errorf("the source is %q", table.Source())
	}
	for mac, want := range map[string]string{
		"00:22:72:00:00:01": "American Micro-Fuel Device Corp.",
		"08:00:30:ff:ff:ff": "CERN / ROYAL MELBOURNE INST OF TECH",
		"20:85:93:b1:23:45": "IOG Products LLC",
		"20:85:93:c0:00:00": "",
		"70:b3:d5:f2:ff:ff": "TELEPLATFORMS",
		"70:b3:d5:f3:00:00": "",
		"70:b3:d5:71:90:01": "CERN",
		"00:50:c2:7d:50:00": "DEUTA-WERKE GmbH",
		"00:50:c2:7d:60:00": "",
	} {
		if got := table.Name(ethernet.MustParseAddr(mac)); got != want {
			t.Errorf("%s is %q, want %q", mac, got, want)
		}
	}
}

func TestRenewNeedsAllFiles(t *testing.T) {
	out := filepath.Join(t.TempDir(), "registry.bin")
	if _, err := renew(t.TempDir(), out); err == nil {
		t.Error("an empty directory gives a table")
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("and writes it")
	}
}
