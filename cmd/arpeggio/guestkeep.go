package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"arpeggio/internal/guest"
	"arpeggio/internal/keep"
	"arpeggio/vcs"
)

// The words of the kernel's command line that say how much history to keep.
const (
	wordKeep        = "keep" // octets
	wordKeepFor     = "keep-for"
	wordKeepCommits = "keep-commits"
	wordArchiveMax  = "archive-max" // octets
)

// keepWords adds what the person asked for.
func (c guestConfig) keepWords(w map[string]string) {
	add := func(name string, v int64, text string) {
		if v != 0 {
			w[name] = text
		}
	}
	k := c.Keep
	add(wordKeep, int64(k.Bytes), strconv.FormatInt(int64(k.Bytes), 10))
	add(wordKeepFor, int64(k.Age), time.Duration(k.Age).String())
	add(wordKeepCommits, int64(k.Commits), strconv.Itoa(k.Commits))
	add(wordArchiveMax, int64(k.ArchiveBytes), strconv.FormatInt(int64(k.ArchiveBytes), 10))
}

// parseKeep reads what keepWords wrote.
func (c *guestConfig) parseKeep(w map[string]string) error {
	for name, set := range map[string]func(v string) error{
		wordKeep:       func(v string) error { return c.Keep.Bytes.UnmarshalText([]byte(v)) },
		wordKeepFor:    func(v string) error { return c.Keep.Age.UnmarshalText([]byte(v)) },
		wordArchiveMax: func(v string) error { return c.Keep.ArchiveBytes.UnmarshalText([]byte(v)) },
		wordKeepCommits: func(v string) (err error) {
			c.Keep.Commits, err = strconv.Atoi(v)
			return err
		},
	} {
		if v, ok := w[name]; ok {
			if err := set(v); err != nil {
				return fmt.Errorf("arpeggio.%s=%s on the kernel's command line: %w", name, v, err)
			}
		}
	}
	if err := c.Keep.Check(); err != nil {
		return fmt.Errorf("how much history to keep, on the kernel's command line: %w", err)
	}
	return nil
}

// retention is what the person asked for, and else what fits the machine. In
// memory there is no archive.
func (c guestConfig) retention(env guest.Env) (vcs.Retention, error) {
	p := keep.ForDisk(env.DataBytes, env.Memory, filepath.Join(env.DataDir, guestArchive))
	if env.DataDir == "" {
		p = keep.Policy{Bytes: keep.Size(max(keep.MinBytes, env.Memory/8))}
	}
	if c.Keep.Bytes != 0 {
		p.Bytes = c.Keep.Bytes
	}
	p.Age, p.Commits = c.Keep.Age, c.Keep.Commits
	if c.Keep.ArchiveBytes != 0 {
		p.ArchiveBytes = c.Keep.ArchiveBytes
	}
	return retention(p, c.Node, env.Logger)
}
