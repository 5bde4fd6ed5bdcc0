// Package qemu starts, watches and stops a virtual machine that boots a Linux
// kernel and an initramfs given as files. It knows QEMU's command line, its
// machine protocol (QMP), which accelerator works here, and what the many ways
// of failing mean; it knows nothing of what runs in the guest and makes no
// images.
//
// A machine is a child of this process: it dies with it, keeps its sockets in a
// private directory, and does not see the terminal's Ctrl-C. QEMU connects to
// sockets on which this package already listens, so nothing polls and nothing
// that the guest says early is lost. The guest's serial console goes to a file,
// whose last lines are part of the error when a machine dies.
//
// The machine type is q35 with the kernel passed as a bzImage: slower to start
// than microvm with an unpacked kernel, and free of that machine's hang in TSC
// calibration on a busy host. Under TCG (QEMU's own translator) the guest sees
// every feature that TCG has except AMD's virtualisation, whose set-up costs
// the kernel 0.2 s.
package qemu
