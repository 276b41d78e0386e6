# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Sourced by run.sh and test.sh: finds what is missing by trying it, and installs that with the
# distribution's package manager after saying so.  As root, through sudo or doas; otherwise it prints
# the command.  LBD_SETUP=no installs nothing, LBD_SETUP=dry only prints.
#
#	setup_build     compiler, make and the libraries: lbd does not build without
#	setup_client    something that sends an HTTP request, for the demonstration
#	setup_tests     prove and its modules: required; peers to test against: tried, never required

have() {
	command -v "$1" >/dev/null 2>&1
}

# setup_probe 'code' [library...]: compiles and links
setup_probe() {
	_code=$1
	shift
	_dir=$(mktemp -d "${TMPDIR:-/tmp}/lbd-setup.XXXXXX") || return 1
	printf '%s\n' "$_code" > "$_dir/t.c"
	"${CC:-cc}" -o "$_dir/t" "$_dir/t.c" "$@" >/dev/null 2>&1
	_rc=$?
	rm -rf "$_dir"
	return $_rc
}

setup_missing_build() {
	have make || printf 'make '
	have "${CC:-cc}" || { printf 'cc libc uring ssl pcre2 '; return; }
	setup_probe '#include <stdio.h>
#include <linux/types.h>
int main(void) { return puts("") < 0; }' || printf 'libc '
	setup_probe '#include <liburing.h>
int main(void) { return io_uring_queue_init(1, 0, 0); }' -luring || printf 'uring '
	setup_probe '#include <openssl/ssl.h>
int main(void) { return !SSL_CTX_new(TLS_method()); }' -lssl -lcrypto || printf 'ssl '
	setup_probe '#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
int main(void) { return pcre2_config_8(0, 0); }' -lpcre2-8 || printf 'pcre2 '
}

setup_missing_client() {
	have curl || perl -MIO::Socket::INET -e 1 2>/dev/null || printf 'curl '
}

setup_missing_tests() {
	have prove && perl -MTest::More -MIO::Socket::IP -MIO::Select -MTime::HiRes -MFile::Temp \
		-MPOSIX -e 1 2>/dev/null || printf 'perl '
}

# programs that some tests talk to; those tests skip where they are not
setup_missing_peers() {
	have curl || printf 'curl '
	have mandoc || printf 'mandoc '
	have nginx || printf 'nginx '
	have haproxy || printf 'haproxy '
	have python3 || printf 'python3 '
	have node || printf 'node '
	have ab || printf 'ab '
	have wrk || printf 'wrk '
	have dnsmasq || [ -x /usr/sbin/dnsmasq ] || printf 'dnsmasq '
}

setup_manager() {
	for _m in apt-get dnf apk; do
		have $_m && { echo $_m; return 0; }
	done
	return 1
}

# setup_packages MANAGER WHAT...: the names packages have there
setup_packages() {
	_m=$1
	shift
	for _w; do
		case $_m:$_w in
		apt-get:cc)      echo gcc libc6-dev ;;
		apt-get:libc)    echo libc6-dev linux-libc-dev ;;
		apt-get:uring)   echo liburing-dev ;;
		apt-get:ssl)     echo libssl-dev ;;
		apt-get:pcre2)   echo libpcre2-dev ;;
		apt-get:nginx)   echo nginx-light ;;
		apt-get:node)    echo nodejs ;;
		apt-get:dnsmasq) echo dnsmasq-base ;;
		apt-get:ab)      echo apache2-utils ;;
		dnf:cc)          echo gcc ;;
		dnf:libc)        echo glibc-devel kernel-headers ;;
		dnf:uring)       echo liburing-devel ;;
		dnf:ssl)         echo openssl-devel ;;
		dnf:pcre2)       echo pcre2-devel ;;
		dnf:perl)        echo perl-interpreter perl-Test-Harness perl-Test-Simple \
				perl-IO-Socket-IP perl-Time-HiRes perl-File-Temp perl-POSIX ;;
		dnf:node)        echo nodejs ;;
		dnf:ab)          echo httpd-tools ;;
		apk:cc)          echo gcc musl-dev ;;
		apk:libc)        echo musl-dev linux-headers ;;
		apk:uring)       echo liburing-dev ;;
		apk:ssl)         echo openssl-dev ;;
		apk:pcre2)       echo pcre2-dev ;;
		apk:perl)        echo perl perl-utils ;;
		apk:node)        echo nodejs ;;
		apk:ab)          echo apache2-utils ;;
		*)               echo "$_w" ;;
		esac
	done | tr '\n' ' ' | sed 's/ *$//'
}

# The commands for these packages.  Where a package would start a service when installed, the
# distribution's own switch against that is set for as long as it takes.
setup_command() {
	_m=$1
	shift
	case $_m in
	apt-get)
		echo 'export DEBIAN_FRONTEND=noninteractive; apt-get update -qq;' \
			"apt-get install -y -qq --no-install-recommends $*" ;;
	dnf)    echo "dnf install -y -q --setopt=install_weak_deps=False $*" ;;
	apk)    echo "apk add --no-progress -q $*" ;;
	esac
}

# shellcheck disable=SC2016  # for the shell that becomes root
setup_quiet_services='d=/usr/sbin/policy-rc.d; if [ ! -e $d ]; then
	printf "#!/bin/sh\nexit 101\n" > $d; chmod +x $d; trap "rm -f $d" EXIT HUP INT TERM; fi'

# setup_as_root COMMAND [PREPARATION]
setup_as_root() {
	if [ "$(id -u)" = 0 ]; then
		_as=
	elif have sudo; then
		_as=sudo
	elif have doas; then
		_as=doas
	else
		echo "setup: neither root nor sudo nor doas; as root, please run" >&2
		echo "    $1" >&2
		return 1
	fi
	echo "setup: ${_as:+$_as }$1"
	[ "${LBD_SETUP:-}" = dry ] && return 0
	$_as sh -c "${2:-:}
$1" </dev/null >"${TMPDIR:-/tmp}/lbd-setup.$$" 2>&1
	_rc=$?
	[ $_rc = 0 ] || tail -n 15 "${TMPDIR:-/tmp}/lbd-setup.$$" >&2
	rm -f "${TMPDIR:-/tmp}/lbd-setup.$$"
	return $_rc
}

# setup_required FINDER: what FINDER prints is installed, or this fails
setup_required() {
	_miss=$($1)
	[ -n "$_miss" ] || return 0
	_m=$(setup_manager) || {
		echo "setup: no apt-get, dnf or apk here; please install: $_miss" >&2
		return 1
	}
	# shellcheck disable=SC2086
	_cmd=$(setup_command "$_m" "$(setup_packages "$_m" $_miss)")
	if [ "${LBD_SETUP:-}" = no ]; then
		echo "setup: missing: $_miss; as root, please run" >&2
		echo "    $_cmd" >&2
		return 1
	fi
	setup_as_root "$_cmd" || return 1
	[ "${LBD_SETUP:-}" = dry ] && return 0
	_miss=$($1)
	[ -z "$_miss" ] || { echo "setup: still missing: $_miss" >&2; return 1; }
}

setup_build() {
	setup_required setup_missing_build
}

setup_client() {
	setup_required setup_missing_client
}

setup_tests() {
	setup_required setup_missing_tests || return 1
	[ "${LBD_SETUP:-}" = no ] && return 0
	_miss=$(setup_missing_peers)
	[ -n "$_miss" ] || return 0
	_m=$(setup_manager) || return 0
	echo 'setup: optional, for tests against real peers; no service is started by this'
	# shellcheck disable=SC2086
	_all=$(setup_packages "$_m" $_miss)
	setup_as_root "$(setup_command "$_m" "$_all")" "$setup_quiet_services" 2>/dev/null && return 0
	# one that the distribution does not have shall not keep the others away
	for _w in $_miss; do
		setup_as_root "$(setup_command "$_m" "$(setup_packages "$_m" "$_w")" |
			sed 's/apt-get update -qq;//')" "$setup_quiet_services" 2>/dev/null ||
			echo "setup: no $_w here; the tests that need it will be skipped"
	done
	return 0
}
