#!/bin/sh
# SPDX-License-Identifier: MIT
#
# From a fresh clone to a running lbd: installs what is missing, builds into build/, installs into
# stage/, and puts lbd in front of three backends, which are server blocks of its own.

cd "$(dirname -- "$0")" || exit 1
top=$(pwd)

usage() {
	cat <<'EOF'
usage: ./run.sh [--once]

Builds lbd, installs it into ./stage and shows it balancing over three backends.
  --once    check that it does, stop, and exit with 0 or 1
  --help    print this

PORT=8080 in the environment: the first port to try.  LBD_SETUP=no: install no packages.
EOF
}

once=no
for arg; do
	case $arg in
	--once) once=yes ;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done

# shellcheck source=contrib/setup.sh
. contrib/setup.sh
setup_build && setup_client || exit 1

step() {
	echo "run: $1"
	shift
	"$@" >> build/build.log 2>&1 && return 0
	tail -n 30 build/build.log >&2
	echo "run: failed; all of it is in build/build.log" >&2
	exit 1
}

in_build() {
	(cd build && "$@")
}

mkdir -p build && : > build/build.log || exit 1
step 'configure' in_build ../configure "--prefix=$top/stage"
step 'make' make -C build -j "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)"
step 'make install' make -C build install

# ---- four free ports ---------------------------------------------------------------------------

# listening on any address, IPv4 or IPv6, as the kernel lists them: local port in hex, state 0A
taken() {
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$(printf '%04X' "$1")" '
		$4 == "0A" && $2 ~ ":" port "$" { found = 1 }
		END { exit !found }'
}

# next_free PORT: the first one from there on
next_free() {
	_p=$1
	while taken "$_p"; do
		_p=$((_p + 1))
		[ $_p -lt 65000 ] || { echo 'run: no free port' >&2; exit 1; }
	done
	echo "$_p"
}

front=$(next_free "${PORT:-8080}") || exit 1
b1=$(next_free $((front + 1))) || exit 1
b2=$(next_free $((b1 + 1))) || exit 1
b3=$(next_free $((b2 + 1))) || exit 1

# ---- the demonstration -------------------------------------------------------------------------

demo=$top/stage/demo
lbd=$top/stage/sbin/lbd
mkdir -p "$demo/logs" || exit 1
rm -f "$demo/logs/lbd.pid"
user_line=
[ "$(id -u)" = 0 ] && user_line="user ${SUDO_USER:-$(id -un)};"

cat > "$demo/lbd.conf" <<EOF
# Written by run.sh: three backends and a balancer in front of them, in one lbd.

$user_line
error_log logs/error.log notice;
pid logs/lbd.pid;

events {
    worker_connections 1024;
}

http {
    access_log logs/access.log combined;

    upstream backends {
        server 127.0.0.1:$b1;
        server 127.0.0.1:$b2;
        server 127.0.0.1:$b3;
    }

    server {
        listen 127.0.0.1:$front;

        location / {
            proxy_pass http://backends;
        }
    }

    server {
        listen 127.0.0.1:$b1;
        location / { return 200 "backend 1\n"; }
    }

    server {
        listen 127.0.0.1:$b2;
        location / { return 200 "backend 2\n"; }
    }

    server {
        listen 127.0.0.1:$b3;
        location / { return 200 "backend 3\n"; }
    }
}
EOF

pid=
stop() {
	[ -n "$pid" ] || return 0
	"$lbd" -p "$demo/" -c "$demo/lbd.conf" -s stop 2>/dev/null || kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	pid=
}
trap stop EXIT
trap 'echo; echo "run: stopping"; exit 0' INT TERM HUP

failed() {
	echo "run: $1" >&2
	tail -n 20 "$demo/logs/error.log" >&2 2>/dev/null
	exit 1
}

"$lbd" -t -q -p "$demo/" -c "$demo/lbd.conf" || failed 'lbd does not take the configuration'
"$lbd" -p "$demo/" -c "$demo/lbd.conf" -g 'daemon off;' &
pid=$!

# the pid file comes when every socket listens
n=0
until [ -s "$demo/logs/lbd.pid" ]; do
	kill -0 "$pid" 2>/dev/null || { pid=; failed 'lbd did not start'; }
	n=$((n + 1))
	[ $n -lt 100 ] || failed 'lbd did not get ready within ten seconds'
	sleep 0.1
done

# get: "STATUS body" of one request
get() {
	if have curl; then
		curl -s -m 10 -w '%{http_code}' "http://127.0.0.1:$front/" |
			awk '{ line[NR] = $0 } END { print line[NR], line[1] }'
	else
		perl -MIO::Socket::INET -e '
			my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]", Timeout => 10) or exit;
			print $s "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
			local $/; my $r = <$s>;
			print "$1 $2\n" if $r =~ m{^HTTP/1.1 (\d+).*?\r\n\r\n.*?(backend \d+)}s' "$front"
	fi
}

requests=30
i=0
while [ $i -lt $requests ]; do
	get
	i=$((i + 1))
done > "$demo/answers"

echo
echo "$requests requests to http://127.0.0.1:$front/"
echo
echo '  backend     answers'
sed -n 's/^200 //p' "$demo/answers" | sort | uniq -c |
	awk '{ printf "  %s %s   %7d\n", $2, $3, $1 }'
good=$(grep -c '^200 backend [123]$' "$demo/answers")
who=$(sed -n 's/^200 //p' "$demo/answers" | sort -u | wc -l)
[ "$good" = $requests ] || echo "  not 200     $((requests - good))"
echo

if [ "$good" = $requests ] && [ "$who" -eq 3 ]; then
	verdict=0
else
	verdict=1
	echo 'run: not every backend answered, or not every answer was 200' >&2
	tail -n 20 "$demo/logs/error.log" >&2
fi
if [ $once = yes ]; then
	stop
	[ $verdict = 0 ] && echo 'run: ok'
	exit $verdict
fi

cat <<EOF
lbd is up.  Try it:

    curl -i http://127.0.0.1:$front/

Its configuration and logs are in stage/demo.  To stop it: Ctrl-C here, or

    stage/sbin/lbd -p $demo/ -c $demo/lbd.conf -s stop
EOF
wait "$pid"
pid=
