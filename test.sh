#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds lbd twice, plain and with the address and undefined behaviour
# sanitizers, and runs every test: under io_uring and under epoll where that makes a difference.
# The verdict is the last line.

cd "$(dirname -- "$0")" || exit 1
top=$(pwd)

usage() {
	cat <<'EOF'
usage: ./test.sh [--quick] [path ...]

Builds lbd and runs its tests, all or those given: t/50-http, t/10-unit/base/num.c
  --quick   the plain build only, without sanitizers
  --help    print this

JOBS=3 in the environment: tests at a time.  LBD_SETUP=no: install no packages.
EOF
}

quick=no
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=yes ;;
	--help | -h) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done

# shellcheck source=contrib/setup.sh
. contrib/setup.sh
setup_build && setup_tests || exit 1

in_dir() {
	(cd "$1" && shift && "$@")
}

# build DIR CONFIGURE-ARGUMENT...
build() {
	dir=$1
	shift
	mkdir -p "$dir" || exit 1
	echo "test: building in $dir/"
	{
		in_dir "$dir" ../configure "--prefix=$top/stage" "$@" &&
			make -C "$dir" -j "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" tests
	} > "$dir/build.log" 2>&1 && return 0
	grep -n -i -A 5 'error' "$dir/build.log" | head -n 40 >&2
	echo "test: the build failed; all of it is in $dir/build.log" >&2
	echo 'Result: FAIL'
	exit 1
}

build build
legs='-b build'
if [ $quick = no ]; then
	build build-asan --with-asan --with-ubsan --enable-werror
	legs="$legs -b asan=build-asan:functional"
	echo 'test: "asan" marks the tests of the build with sanitizers'
fi
# shellcheck disable=SC2086
exec t/run -j "${JOBS:-3}" $legs "$@"
