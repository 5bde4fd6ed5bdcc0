package vmimage

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// CompleteMarker is the path of the archive's last entry, an empty file. It
// exists in the guest only when the kernel has unpacked everything before it.
const CompleteMarker = "/.complete"

// InitramfsConfig says what goes into an initramfs.
type InitramfsConfig struct {
	// Init is the path of the static binary that becomes /init. Required.
	Init string
	// Arch is the guest's architecture, a GOARCH value; "" means amd64.
	Arch string
	// Trees are copied under the given folders: {"site": fsys} puts fsys's
	// root at /site. Only regular files and directories are copied; a symbolic
	// link is replaced by the regular file it leads to. Names that start with
	// a dot are left out, as a site does not serve them, but for .well-known.
	Trees map[string]fs.FS
}

// Manifest describes a finished initramfs.
type Manifest struct {
	Size    int64             // octets of the archive
	SHA256  [sha256.Size]byte // of the archive
	Entries int               // files, directories and nodes, without the trailer

	InitSize   int64             // octets of /init
	InitSHA256 [sha256.Size]byte // of /init
}

// Initramfs writes an uncompressed newc cpio archive to w: mount points, the
// console and null nodes, /init, the trees, and CompleteMarker as the last
// entry. Equal input gives equal bytes.
func Initramfs(w io.Writer, cfg InitramfsConfig) (Manifest, error) {
	if err := CheckBinary(cfg.Init, cfg.Arch); err != nil {
		return Manifest{}, err
	}
	a := newArchive(w)
	for _, dir := range []string{"data", "dev", "proc", "run", "sys", "tmp"} {
		a.dir(dir)
	}
	a.node("dev/console", 0o600, 5, 1)
	a.node("dev/null", 0o666, 1, 3)
	size, sum := a.init(cfg.Init)
	for _, at := range slices.Sorted(maps.Keys(cfg.Trees)) {
		a.tree(at, cfg.Trees[at])
	}
	a.file(strings.TrimPrefix(CompleteMarker, "/"), 0o444, 0, strings.NewReader(""))
	m, err := a.finish()
	if err != nil {
		return Manifest{}, fmt.Errorf("vmimage: initramfs: %w", err)
	}
	m.InitSize, m.InitSHA256 = size, sum
	return m, nil
}

// WriteInitramfs makes an initramfs in the file at path, which appears whole or
// not at all; an existing one is replaced.
func WriteInitramfs(path string, cfg InitramfsConfig) (Manifest, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".initramfs-*")
	if err != nil {
		return Manifest{}, fmt.Errorf("vmimage: initramfs: %w", err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	m, err := Initramfs(f, cfg)
	err = cmp.Or(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// SiteDir opens the directory at path as a tree for an initramfs. Symbolic
// links that lead out of it cannot be followed.
func SiteDir(path string) (fs.FS, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("vmimage: site directory %s does not exist; create it or name another one", path)
	case err != nil:
		return nil, fmt.Errorf("vmimage: site directory: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("vmimage: site %s is a file; name the directory that holds it", path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("vmimage: site directory: %w", err)
	}
	return root.FS(), nil
}

// archive writes entries in the order of its calls and remembers the first
// error, after which every call does nothing.
type archive struct {
	out   *counter
	cpio  *cpio.Writer
	inode int64
	seen  map[string]bool
	err   error
}

func newArchive(w io.Writer) *archive {
	out := &counter{w: w, sum: sha256.New()}
	return &archive{out: out, cpio: cpio.NewWriter(out), seen: map[string]bool{}}
}

// enter reports whether an entry of that name may be written, and counts it.
func (a *archive) enter(name string) bool {
	if a.err != nil {
		return false
	}
	if a.seen[name] {
		a.err = fmt.Errorf("two entries are called /%s", name)
		return false
	}
	a.seen[name] = true
	a.inode++
	return true
}

func (a *archive) dir(name string) {
	if !a.enter(name) {
		return
	}
	a.err = a.cpio.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeDir | 0o755, Links: 2, Inode: a.inode})
}

func (a *archive) file(name string, mode cpio.FileMode, size int64, r io.Reader) {
	if !a.enter(name) {
		return
	}
	a.err = a.cpio.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | mode, Links: 1, Inode: a.inode, Size: size})
	if a.err != nil {
		return
	}
	n, err := io.Copy(a.cpio, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		a.err = fmt.Errorf("/%s: %w", name, err)
	}
}

// node writes a character device. The cpio module knows no device numbers, so
// the header is formatted here (the newc format: thirteen fields of eight
// hexadecimal digits after the magic) and goes out between two of its entries.
func (a *archive) node(name string, mode cpio.FileMode, major, minor uint32) {
	if !a.enter(name) {
		return
	}
	if a.err = a.cpio.Flush(); a.err != nil {
		return
	}
	b := fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.inode, uint32(cpio.TypeChar|mode), 0, 0, 1, 0, 0, 0, 0, major, minor, len(name)+1, 0)
	b = append(b, name...)
	b = append(b, 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	_, a.err = a.out.Write(b)
}

// init copies the binary and returns what was copied.
func (a *archive) init(path string) (size int64, sum [sha256.Size]byte) {
	if a.err != nil {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	h := sha256.New()
	a.file("init", 0o755, info.Size(), io.TeeReader(f, h))
	return info.Size(), [sha256.Size]byte(h.Sum(nil))
}

// tree copies fsys below the folder at.
func (a *archive) tree(at string, fsys fs.FS) {
	if a.err != nil {
		return
	}
	if !fs.ValidPath(at) || at == "." {
		a.err = fmt.Errorf("%q is no folder for a tree", at)
		return
	}
	for i, c := range at {
		if c == '/' && !a.seen[at[:i]] {
			a.dir(at[:i])
		}
	}
	a.err = cmp.Or(a.err, fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// A site does not serve dotfiles, and .git or .env are nobody's business.
		if base := path.Base(p); base[0] == '.' && p != "." && p != ".well-known" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			a.dir(path.Join(at, p))
			return a.err
		}
		return a.copy(path.Join(at, p), fsys, p)
	}))
}

func (a *archive) copy(name string, fsys fs.FS, p string) error {
	// What is neither a file nor a directory is found before it is opened: a
	// pipe would wait for its writer.
	info, err := fs.Stat(fsys, p)
	if err != nil {
		if l, lerr := fs.Lstat(fsys, p); lerr == nil && l.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link that leads nowhere or out of the site; replace or remove it (%w)", p, err)
		}
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a symbolic link to a directory; replace it by a copy, or remove it", p)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a directory; remove it from the site", p)
	}
	f, err := fsys.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	a.file(name, 0o644, info.Size(), f)
	return a.err
}

func (a *archive) finish() (Manifest, error) {
	if err := cmp.Or(a.err, a.cpio.Close()); err != nil {
		return Manifest{}, err
	}
	return Manifest{Size: a.out.n, SHA256: [sha256.Size]byte(a.out.sum.Sum(nil)), Entries: int(a.inode)}, nil
}

// counter passes octets on, counts and hashes them.
type counter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}
