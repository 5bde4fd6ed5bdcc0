package qemu_test

import (
	"context"
	"errors"
	"fmt"

	"arpeggio/qemu"
)

// A machine that cannot start says what is wrong and what to do.
func ExampleStart() {
	accel := qemu.Probe(context.Background()) // KVM where it works, else TCG with the reason
	_, err := qemu.Start(context.Background(), qemu.Config{
		Binary: "/usr/bin/qemu-system-x86_64",
		Kernel: "build/vmlinuz",
		Initrd: "build/initramfs",
		Accel:  accel,
	})
	if exit, ok := errors.AsType[*qemu.ExitError](err); ok {
		fmt.Println("QEMU said:", exit.Detail)
	} else if err != nil {
		fmt.Println(err)
	}
	// Output:
	// qemu: kernel: stat build/vmlinuz: no such file or directory
}
