package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"arpeggio/internal/netns"
	"arpeggio/internal/testproc"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

const burstFrames = 10_000

// burst sends 10,000 frames of as many hosts to an interface that our program
// watches, within a tenth of a second, and returns how many it did not see.
func (o *observers) burst(ctx context.Context) (lost int, took time.Duration, err error) {
	here, far, err := netns.Pair("va", "vb")
	if err != nil {
		return 0, 0, err
	}
	defer here.Close()
	defer far.Close()
	var peer *tuntap.Packet
	err = far.Do(func() (err error) {
		peer, err = tuntap.OpenPacket(tuntap.PacketConfig{Interface: "vb"})
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer peer.Close()
	cmd := here.Command(o.ours, "watch", "--user", "root", "--repo", filepath.Join(o.dir, "live"), "va")
	errs, err := cmd.StderrPipe()
	if err != nil {
		return 0, 0, err
	}
	if err := testproc.Start(cmd); err != nil {
		return 0, 0, err
	}
	lines := bufio.NewReader(errs)
	for line := ""; !strings.Contains(line, "watching"); {
		if line, err = lines.ReadString('\n'); err != nil {
			return 0, 0, errors.Join(fmt.Errorf("watch ended early: %w", err), cmd.Wait())
		}
	}
	fs := make([]link.Frame, 100)
	start := time.Now()
	for n := 0; n < burstFrames; {
		for i := range fs {
			fs[i].Head = hostFrame(fs[i].Head[:0], n+i)
		}
		k, err := peer.WriteFrames(fs)
		if err != nil {
			return 0, 0, err
		}
		n += k
		// A hundred every millisecond.
		time.Sleep(time.Until(start.Add(time.Duration(n/100) * time.Millisecond)))
	}
	took = time.Since(start)
	time.Sleep(200 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	rest, err := io.ReadAll(lines)
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return 0, 0, err
	}
	seen := 0
	if _, err := fmt.Sscanf(string(rest), "arpeggio: %d frames", &seen); err != nil {
		return 0, 0, fmt.Errorf("no summary in %q", rest)
	}
	return burstFrames - seen, took, nil
}
