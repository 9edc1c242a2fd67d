#!/bin/sh
# Installs the Debian packages named, and nodejs with npm where they are missing; or says which to install.
set -eu
missing=""
for package in "$@"; do
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
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
# shellcheck disable=SC2086  # a list of names
$root apt-get install -y -qq --no-install-recommends $missing >/dev/null
# Debian starts a packaged server as a service; tests and benchmarks start their own, on free ports.
for package in $missing; do
	case $package in prometheus) service=prometheus ;; nginx-*) service=nginx ;; *) continue ;; esac
	$root service "$service" stop >/dev/null 2>&1 || true
done
