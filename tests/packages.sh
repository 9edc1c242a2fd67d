#!/bin/sh
# Installs the Debian packages named, and nodejs with npm where they are missing; or says which to install.
# Several of these may run at once, and beside any other apt: each waits for its turn.
set -eu
WAIT_S=300

missing=""
for package in "$@"; do
	[ "$package" = golang-go ] && command -v go >/dev/null && continue
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" ||
		missing="$missing $package"
done
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
[ -n "$missing" ] || exit 0

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
