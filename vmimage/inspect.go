package vmimage

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// InspectInitramfs reads the initramfs at path and returns its manifest, which
// equals the one that WriteInitramfs gave. It is an error when the archive was
// not made by this package, or is cut off or damaged: the kernel itself would
// unpack what it understands of such a file and go on.
func InspectInitramfs(path string) (Manifest, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("vmimage: initramfs %s does not exist; build the image first", path)
	} else if err != nil {
		return Manifest{}, fmt.Errorf("vmimage: initramfs: %w", err)
	}
	defer f.Close()
	m, err := readManifest(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return Manifest{}, fmt.Errorf("vmimage: initramfs %s %w; build the image again", path, err)
	}
	return m, nil
}

// readManifest reads a whole archive. Errors continue the sentence "initramfs
// FILE …".
func readManifest(r io.Reader) (Manifest, error) {
	all := &counter{w: io.Discard, sum: sha256.New()}
	tee := io.TeeReader(r, all)
	var m Manifest
	last := ""
	for c := cpio.NewReader(tee); ; {
		h, err := c.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return Manifest{}, damage(err)
		}
		m.Entries++
		last = h.Name
		if h.Name != "init" {
			continue // the reader skips the content
		}
		sum := sha256.New()
		if m.InitSize, err = io.Copy(sum, c); err != nil {
			return Manifest{}, damage(err)
		}
		if m.InitSize != h.Size {
			return Manifest{}, damage(io.ErrUnexpectedEOF)
		}
		m.InitSHA256 = [sha256.Size]byte(sum.Sum(nil))
	}
	if last != strings.TrimPrefix(CompleteMarker, "/") {
		return Manifest{}, damage(io.ErrUnexpectedEOF)
	}
	if m.InitSize == 0 {
		return Manifest{}, errors.New("holds no /init")
	}
	if _, err := io.Copy(io.Discard, tee); err != nil { // behind the trailer
		return Manifest{}, damage(err)
	}
	m.Size, m.SHA256 = all.n, [sha256.Size]byte(all.sum.Sum(nil))
	return m, nil
}

func damage(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is cut off")
	}
	return fmt.Errorf("is damaged or not an image of ours (%w)", err)
}
