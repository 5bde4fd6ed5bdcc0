#!/bin/sh
# ensure.sh: see that the programs which the tests call are there: QEMU, a C
# compiler for the race detector, and the peers that know nothing of us. What is
# missing is installed through the system's package manager when that works
# without a password (as root, or with sudo -n); otherwise the exact command to
# type is printed, and the tests that need it say why they are skipped.
set -u
[ "$(uname -s)" = Linux ] || exit 0
want="qemu-system-x86_64 gcc git curl ip nft ping arping tcpdump nmap e2fsck debugfs dnsmasq udhcpd"

if command -v apt-get >/dev/null; then
	pm=apt install="apt-get install -y --no-install-recommends" refresh="apt-get update"
elif command -v dnf >/dev/null; then
	pm=dnf install="dnf install -y" refresh=true
elif command -v pacman >/dev/null; then
	pm=pacman install="pacman -S --noconfirm" refresh="pacman -Sy"
elif command -v zypper >/dev/null; then
	pm=zypper install="zypper --non-interactive install" refresh=true
elif command -v apk >/dev/null; then
	pm=apk install="apk add" refresh=true
else
	pm=none install="(your package manager's install command)" refresh=true
fi

# package COMMAND prints the package that holds the command.
package() {
	case "$1:$pm" in
	qemu-system-x86_64:apt) echo qemu-system-x86 ;;
	qemu-system-x86_64:dnf) echo qemu-system-x86-core ;;
	qemu-system-x86_64:pacman) echo qemu-system-x86 ;;
	qemu-system-x86_64:zypper) echo qemu-x86 ;;
	qemu-system-x86_64:apk) echo qemu-system-x86_64 ;;
	ip:apt | ip:pacman | ip:zypper | ip:apk) echo iproute2 ;;
	ip:dnf) echo iproute ;;
	nft:*) echo nftables ;;
	ping:apt) echo iputils-ping ;;
	ping:*) echo iputils ;;
	arping:apt | arping:apk) echo arping ;;
	arping:*) echo iputils ;;
	gcc:apk) echo "gcc musl-dev" ;;
	gcc:apt) echo "gcc libc6-dev" ;;
	e2fsck:* | debugfs:*) echo e2fsprogs ;;
	dnsmasq:apt) echo dnsmasq-base ;;
	udhcpd:apt) echo udhcpd ;;
	udhcpd:apk) echo busybox-extras ;;
	udhcpd:*) echo busybox ;;
	*) echo "$1" ;;
	esac
}

missing() {
	for c in $want; do
		command -v "$c" >/dev/null 2>&1 || [ -x "/usr/sbin/$c" ] || [ -x "/sbin/$c" ] || echo "$c"
	done
}

lacking=$(missing)
[ -n "$lacking" ] || exit 0
packages=$(for c in $lacking; do package "$c"; done | sort -u | tr '\n' ' ')

asroot=
if [ "$(id -u)" = 0 ]; then
	asroot=env
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	asroot="sudo -n env"
fi
if [ -n "$asroot" ] && [ "$pm" != none ]; then
	echo "installing: $packages" >&2
	log=$(mktemp)
	{ $asroot DEBIAN_FRONTEND=noninteractive $refresh && $asroot DEBIAN_FRONTEND=noninteractive $install $packages; } >"$log" 2>&1 ||
		{ echo "that did not work; the last lines were:" >&2; tail -n 5 "$log" >&2; }
	rm -f "$log"
fi

lacking=$(missing)
[ -n "$lacking" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo "
echo "missing:" $lacking >&2
echo "Type:    $sudo$install" $packages >&2
