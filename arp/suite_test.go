package arp_test

import (
	"testing"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
)

func TestMemTable(t *testing.T) {
	arptest.TestTable(t, func(*testing.T) arp.Table { return arp.NewMemTable() })
}

func TestServiceAsResolver(t *testing.T) {
	arptest.TestResolver(t, func(_ *testing.T, cfg arp.Config) arptest.Resolver { return arp.NewService(cfg) })
}
