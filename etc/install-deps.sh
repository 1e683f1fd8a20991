#!/bin/sh
# Installs what building and testing hagw need, from the distribution's own
# packages. Does nothing, and needs no network, when all is there.
set -eu

packages="build-essential pkg-config git strace
libevent-dev libmnl-dev libnetfilter-conntrack-dev libnftnl-dev libbsd-dev
libyaml-dev libseccomp-dev libsodium-dev libjansson-dev libcmocka-dev
python3 python3-pytest python3-scapy
nftables iproute2 iputils-ping procps tcpdump conntrack
openssh-server openssh-client keepalived conntrackd
clang libclang-rt-14-dev clang-format cppcheck mandoc systemd"

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo "deps: this system has no apt; install these by hand:" >&2
	echo "$packages" >&2
	exit 1
fi

missing=""
for p in $packages; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || :)
	[ "$status" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing:$missing" >&2
	echo "deps: run \"make deps\" as root" >&2
	exit 1
fi
echo "deps: installing$missing"
# no service of a package just installed may start by itself
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
	--no-install-recommends $missing
