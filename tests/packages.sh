#!/bin/sh
# Installs the Debian packages named, and nodejs with npm where they are missing; or says which to install.
# With --plan before the names it only says what it would do. Where there is no apt-get it looks for their programs.
# Several of these may run at once, and beside any other apt: each waits for its turn.
set -eu
WAIT_S=300
PATH=$PATH:/usr/sbin:/sbin

plan=""
[ "${1:-}" = --plan ] && plan=yes && shift

# A program of each package, where it isn't named as the package is.
program_of() {
	case $1 in
	chromium-headless-shell) echo "${CHROMIUM:-/usr/lib/chromium/chromium-headless-shell}" ;;
	nginx-light) echo nginx ;;
	systemd) echo systemd-analyze ;;
	varnish) echo varnishd ;;
	iproute2) echo ip ;;
	nftables) echo nft ;;
	golang-go) echo go ;;
	php-cli) echo php ;;
	nodejs) echo node ;;
	netavark) echo /usr/lib/podman/netavark ;;
	libnginx-mod-nchan) echo /usr/lib/nginx/modules/ngx_nchan_module.so ;;
	libc6-dev) echo /usr/include/stdio.h ;;
	*) echo "$1" ;;
	esac
}

is_there() {
	case $1 in
	golang-go | nodejs | npm) has "$(program_of "$1")" ;; # taken as they are
	*)
		if command -v apt-get >/dev/null; then
			dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q "install ok installed"
		else
			has "$(program_of "$1")"
		fi
		;;
	esac
}

has() {
	command -v "$1" >/dev/null || [ -e "$1" ]
}

missing=""
for package in "$@" nodejs npm; do
	is_there "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "The tests start real programs, and there is no apt-get here to install them. Install what is missing and try again:" >&2
	for package in $missing; do
		echo "  $(program_of "$package")    (Debian's package $package)" >&2
	done
	echo "A Chromium at another place: CHROMIUM=/its/path make test" >&2
	exit 1
fi
if [ -n "$plan" ]; then
	echo "Debian packages to be installed, in a minute or two:$missing"
	exit 0
fi

root=""
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null && sudo -n true 2>/dev/null && root="sudo"
	[ -n "$root" ] || {
		echo "The tests need Debian packages. Install them and try again: sudo apt-get install$missing" >&2
		exit 1
	}
fi

# What apt says is read below, so it is asked to say it in English.
apt() {
	$root env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=$WAIT_S "$@"
}

echo "Debian packages to install:$missing"
echo "Reading the lists of packages (some seconds; up to $WAIT_S s more while another apt works)"
# The timeout above is that of dpkg's lock. For the lock of the lists apt has none: it fails at once.
deadline=$(($(date +%s) + WAIT_S))
until said=$(apt update 2>&1); do
	case $said in *"Could not get lock"*) ;; *) deadline=0 ;; esac
	[ "$(date +%s)" -lt "$deadline" ] || {
		echo "$said" >&2
		exit 1
	}
	sleep 1
done
echo "Installing (a minute or two; up to $WAIT_S s more while another apt works)"
# shellcheck disable=SC2086  # a list of names
apt install -y --no-install-recommends $missing >/dev/null

# Debian starts a packaged server as a service; tests and benchmarks start their own, on free ports.
for package in $missing; do
	case $package in
	prometheus | redis-server | haproxy | caddy | varnish | apache2) service=$package ;;
	nginx-*) service=nginx ;;
	*) continue ;;
	esac
	$root service "$service" stop >/dev/null 2>&1 || true
done
