package vmimage

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// machines maps GOARCH to the ELF machine of a guest's binary.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64,
	"arm64": elf.EM_AARCH64,
}

// CheckBinary reports why the file at path cannot be the guest's /init: it is
// missing, not an ELF program, made for another architecture than arch (a
// GOARCH value; "" means amd64), dynamically linked, or cut off.
func CheckBinary(path, arch string) error {
	if arch == "" {
		arch = "amd64"
	}
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("vmimage: no guest for architecture %q (known: amd64, arm64)", arch)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("vmimage: binary %s does not exist; build it with CGO_ENABLED=0 GOOS=linux GOARCH=%s go build", path, arch)
	case err != nil:
		return fmt.Errorf("vmimage: binary: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("vmimage: binary %s is not a regular file", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("vmimage: binary %s is not a whole Linux program (%w); build it with GOOS=linux GOARCH=%s", path, err, arch)
	}
	defer f.Close()
	if f.Machine != want || f.Class != elf.ELFCLASS64 {
		return fmt.Errorf("vmimage: binary %s is built for %v, the guest is %s; build it with GOOS=linux GOARCH=%s", path, f.Machine, arch, arch)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return fmt.Errorf("vmimage: binary %s is an ELF file of type %v, not a program", path, f.Type)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("vmimage: binary %s is dynamically linked and the guest has no libraries; build it with CGO_ENABLED=0", path)
		}
		if p.Type == elf.PT_LOAD && p.Off+p.Filesz > uint64(info.Size()) {
			return fmt.Errorf("vmimage: binary %s is cut off: %d bytes, its segments reach to %d; build it again", path, info.Size(), p.Off+p.Filesz)
		}
	}
	return nil
}
