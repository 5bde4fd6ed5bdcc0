//go:build !linux

package badger_test

import "errors"

const fullEnv = "ARPEGGIO_TEST_BADGER_FULL"

func fillDisk(string) error { return errors.New("only on Linux") }
