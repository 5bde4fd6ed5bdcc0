package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"arpeggio/internal/control"
	"arpeggio/internal/guest"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/packfile"
)

// givenTokens is under what name a machine's guest is given the tokens of those
// who may push. They are never on its command line, which anybody on the host and
// every log of the kernel shows.
const givenTokens = "write-token"

// givenLimit is how long a guest waits for them.
const givenLimit = 30 * time.Second

// pushConfig reads the tokens of a file and lends pushes a temporary file. Who
// serves supplies the Writer.
func pushConfig(path string) (*gitserve.PushConfig, error) {
	text, err := tokenText(path)
	if err != nil {
		return nil, err
	}
	return pushesOf(text, "")
}

// tokenText reads a file of tokens, and checks it.
func tokenText(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--write-token: %w", err)
	}
	if _, err := pushesOf(string(b), ""); err != nil {
		return "", fmt.Errorf("--write-token %s: %w", path, err)
	}
	if len(b) > control.MaxLine/2 {
		return "", fmt.Errorf("--write-token %s: it has %d octets, want at most %d", path, len(b), control.MaxLine/2)
	}
	return string(b), nil
}

// pushesOf takes pushes from who has one of some tokens. Temporary files are in a
// directory, that of the system when empty.
func pushesOf(text, dir string) (*gitserve.PushConfig, error) {
	tokens, err := gitserve.ReadTokens(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	return &gitserve.PushConfig{
		Authorize: tokens.Authorize,
		Scratch: func() (packfile.Scratch, func(), error) {
			f, err := os.CreateTemp(dir, "arpeggio-push-*")
			if err != nil {
				return nil, nil, err
			}
			os.Remove(f.Name()) // it lives as long as it is open
			return f, func() { f.Close() }, nil
		},
	}, nil
}

// givenPush is pushConfig in a machine: the host gives the tokens. Without a data
// disk packs are taken into memory.
func givenPush(ctx context.Context, env guest.Env) (*gitserve.PushConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, givenLimit)
	defer cancel()
	text, err := env.Control.Given(ctx, givenTokens)
	var push *gitserve.PushConfig
	if err == nil {
		push, err = pushesOf(text, env.DataDir)
	}
	if err != nil {
		return nil, &guest.Fatal{
			Message: fmt.Sprintf("the host did not say who may push: %v", err),
			Remedy:  "start the machine with arpeggio vm run --write-token FILE, of the same version as the image",
		}
	}
	push.Limits.PackBytes = min(64<<20, max(1<<20, env.Memory/16))
	if env.DataDir == "" {
		push.Scratch = nil
	}
	return push, nil
}
