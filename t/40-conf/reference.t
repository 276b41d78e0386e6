#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Every directive, one by one: its contexts and default in the table, a good use in each context, and what is said
# when it stands elsewhere, twice, without arguments, or with wrong ones.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Lbd;
use Test::More;

my @contexts = ('main', 'events', 'http', 'server', 'location', 'if in server', 'if in location', 'limit_except', 'upstream');
my %short = (M => 'main', E => 'events', H => 'http', S => 'server', L => 'location', I => 'if in server', F => 'if in location',
	X => 'limit_except', U => 'upstream');
my $port = free_port();
my $other = free_port();
my $dir = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
mkdir "$dir/logs" or die "$dir/logs: $!";

# name, where (letters as above), default, kind; good arguments; arguments and what is said about them.
# flag, time, size and number bring mistakes of their own; "list" may be repeated, "any" needs no argument.
my @table = (
	# processes, files
	['daemon', 'M', 'on', 'flag'],
	['master_process', 'M', 'on', 'flag'],
	['worker_processes', 'M', 'auto', '', ['auto', '1', '255'], ['0', qr/allowed are auto and 1 to 255/], ['256', qr/1 to 255/],
		['99999999999999999999', qr/1 to 255/], ['-1', qr/1 to 255/], ['1 2', qr/takes one argument, 2 given/]],
	['worker_cpu_affinity', 'M', '', '', ['auto', '01 10', 'auto 11'], ['2', qr/digits other than 0 and 1/]],
	['worker_priority', 'M', '0', 'number', ['-20', '20'], ['21', qr/is 21; allowed are -20 to 20/]],
	['worker_rlimit_nofile', 'M', '', 'number', ['65536'], ['1', qr/is 1; allowed are 16 to/]],
	['worker_rlimit_core', 'M', '', 'size', ['500m', '0']],
	['working_directory', 'M', '', '', ['.', '/'], ['/nowhere/at/all', qr/is no folder/]],
	['worker_shutdown_timeout', 'M', '1h', 'time', ['0', '10s', "'1h 30m'"]],
	['worker_shutdown_spread', 'M', '10s', 'time', ['off', '3s']],
	['worker_generations_max', 'M', '8', 'number', ['off', '2'], ['1', qr/is 1; allowed are 2 to 1024/]],
	['reload_timeout', 'M', '60s', 'time', ['5s'], ['0', qr/is 0; allowed are/]],
	['user', 'M', '', '', ['root', 'root root'], ['no-such-user', is_root() ? qr/user "no-such-user" does not exist/ : undef]],
	['pid', 'M', '', '', ['logs/other.pid'], ['a b', qr/takes one argument, 2 given/]],
	['env', 'M', '', 'list', ['PATH', 'A=b', 'TZ'], ['=x', qr/needs the name of a variable/]],
	['load_module', 'M', '', 'list', [], ['nothing.so', qr/module file "nothing.so" does not exist/]],
	['error_log', 'MHSL', '', 'list', ['logs/x.log', 'logs/x.log debug', 'stderr warn', 'logs/x.log info json',
		'syslog:server=127.0.0.1', 'logs/x.log emerg', 'memory:32k debug',
		'syslog:server=127.0.0.1:1,facility=local7,tag=x,severity=info,nohostname error'], ['logs/x.log loud', qr/loud/],
		['memory:x', qr/"x" is no size for a log in memory/], ['syslog:server=127.0.0.1,facility=nope', qr/unknown syslog facility "nope"/], ['logs/x.log info text', qr/text/],
		['/nowhere/at/all/x.log', qr/no such file or directory/i], ['. info', qr/director/i]],
	['thread_pool', 'M', '', 'list', ['default threads=32 max_queue=65536', 'a threads=1']],
	['pcre_jit', 'M', 'on', 'flag'],
	['state_path', 'M', 'state', '', ['off', 'other']],
	['control', 'M', '', '', ['off', 'unix:logs/x.sock', 'unix:logs/x.sock mode=0660'],
		['tcp:1', qr/allowed are unix:path and off/], ['unix:x mode=8', qr/is not an octal mode/],
		['unix:x mode=', qr/is not an octal mode/], ['unix:x mode=1666', qr/is not an octal mode/],
		['unix:x group=no-such-group', qr/group "no-such-group" does not exist/],
		['unix:/' . 'x' x 108, qr/the path of a UNIX socket may have 107 bytes/],
		['off mode=0600', qr/"off" takes no parameters/], ['unix:x name=y', qr/unknown parameter "name=y"/]],
	['watch', 'M', 'off', 'flag'],
	['lock_file', 'M', '', 'ignored', ['logs/x.lock']],
	['timer_resolution', 'M', '', 'ignored', ['100ms']],

	# events
	['worker_connections', 'E', '4096', 'number', ['16', '1000000'], ['15', qr/is 15; allowed are 16 to/]],
	['use', 'E', '', '', ['epoll'], ['select', qr/"select" is not for lbd/], ['magic', qr/unknown event method "magic"/]],
	['multi_accept', 'E', 'off', 'flag'],
	['accept_mutex', 'E', 'off', 'flag'],
	['accept_mutex_delay', 'E', '500ms', 'time', ['1s']],
	['accept_balance', 'E', 'connections', '', ['off', 'connections slack=12', 'connections slack=5%'],
		['maybe', qr/allowed are off and connections/]],
	['debug_connection', 'E', '', 'list', ['127.0.0.1', 'unix:']],
	['stall_threshold', 'E', '1000ms', 'time', ['1s']],
	['worker_aio_requests', 'E', '32', 'number', ['64'], ['0', qr/is 0; allowed are 1 to/]],
	['io_uring_entries', 'E', '1024 cq=8192', 'number', ['1024', '1024 cq=4096'], ['1000', qr/powers of two/]],
	['io_uring_buffers', 'E', '1024 16k', '', ['1024 4k'], ['1024', qr/takes 2 arguments, 1 given/],
		['x 4k', qr/"x" is not a number/], ['8 x', qr/"x" is not a size/], ['8 2m', qr/allowed are 1k to 1m/]],
	['io_uring_sqpoll', 'E', 'off', '', ['off', 'on idle=1s cpu=0'], ['on idel=1s', qr/unknown parameter "idel=1s"/]],
	['io_uring_zerocopy', 'E', 'off', '', ['on', 'on min=32k'], ['on max=1', qr/unknown parameter "max=1"/]],

	# choosing
	['listen', 'S', '', 'list', ["127.0.0.1:$other default_server", "[::1]:$other ipv6only=on", "unix:$dir/x.sock", (gethostbyname("localhost") ? "localhost:$other" : ()),
		"127.0.0.2:$other backlog=10 rcvbuf=8k sndbuf=8k so_keepalive=30m::10 deferred reuseport fastopen=5 bind"],
		['nowhere.invalid:80', qr/could not find the address of "nowhere.invalid"/], ['127.0.0.1:0', qr/"127.0.0.1:0"/],
		['127.0.0.1:65536', qr/"127.0.0.1:65536" is not an address/], ["127.0.0.2:$other backlog=x", qr/"x" is not a number/],
		["127.0.0.2:$other so_keepalive=maybe", qr/allowed are "on", "off"/], ["127.0.0.2:$other ssl", qr/needs the tls module, which is planned/],
		["127.0.0.2:$other proxy_protocol", qr/planned/], ["127.0.0.2:$other quic", qr/planned/],
		["127.0.0.2:$other backlg=1", qr/unknown parameter "backlg=1".*did you mean "backlog="/s],
		["127.0.0.2:$other multipath", qr/planned/]],
	['server_name', 'S', '', 'list', ['a.test', '*.a.test www.b.* .c.test', '""', '~^x(?<y>.)$', '$hostname'],
		['~(', qr/regular expression "\("/], ['a.*.test', qr/"a\.\*\.test"/]],
	['internal', 'L', '', 'any', [''], ['on', qr/takes no arguments, 1 given/]],
	['internal_redirect', 'SL', '', '', ['/x', '$arg_to']],
	['merge_slashes', 'HS', 'on', 'flag'],
	['server_names_hash_max_size', 'H', '', 'ignored', ['512']],
	['server_names_hash_bucket_size', 'H', '', 'ignored', ['64']],
	['variables_hash_max_size', 'H', '', 'ignored', ['1024']],
	['variables_hash_bucket_size', 'H', '', 'ignored', ['64']],

	# rewriting
	['return', 'SLIF', '', 'list', ['204', '200 "x $uri"', '301 /x', 'http://a.test/'], ['1000', qr/"1000" is no status to return/],
		['/x', qr/"\/x" is no status/], ['200 a b', qr/takes 1 to 2 arguments, 3 given/]],
	['rewrite', 'SLIF', '', 'list', ['^/(.)$ /x/$1', '^ /x last', '^ /x break', '^ /x redirect', '^ /x permanent', '^ http://a.test/'],
		['^', qr/takes 2 to 3 arguments, 1 given/], ['[ /x', qr/regular expression "\["/], ['^ /x final', qr/"final" is no flag/]],
	['set', 'SLIF', '', 'list', ['$a b', '$a "$uri c"'], ['a b', qr/"a" is no variable/], ['$host b', qr/cannot be set/],
		['$a $unknown_one', qr/unknown variable "\$unknown_one"/]],
	['break', 'SLIF', '', 'list any', [''], ['x', qr/takes no arguments/]],
	['rewrite_log', 'HSLIF', 'off', 'flag'],
	['uninitialized_variable_warn', 'HSLIF', 'on', 'flag'],

	# requests
	['client_header_timeout', 'HS', '60s', 'time', ['10s']],
	['client_header_buffer_size', 'HS', '1k', 'size', ['1k'], ['0', qr/is 0; allowed are 1 to 1m/]],
	['large_client_header_buffers', 'HS', '4 16k', '', ['4 8k'], ['4', qr/takes 2 arguments, 1 given/], ['0 8k', qr/is 0; allowed/],
		['4 x', qr/"x" is not a size/]],
	['max_headers', 'HS', '1000', 'number', ['100'], ['0', qr/is 0; allowed are 1 to 100000/]],
	['ignore_invalid_headers', 'HS', 'on', 'flag'],
	['underscores_in_headers', 'HS', 'off', 'flag'],
	['connection_pool_size', 'HS', '', 'ignored', ['512']],
	['request_pool_size', 'HS', '4k', 'size', ['4k'], ['1', qr/is 1; allowed are 256 to 1m/]],
	['client_max_body_size', 'HSL', '1m', 'size', ['0', '10m', '1g', '2G']],
	['client_body_buffer_size', 'HSL', '16k', 'size', ['8k'], ['0', qr/is 0; allowed are 1 to 1g/]],
	['client_body_timeout', 'HSL', '60s', 'time', ['500ms']],
	['client_body_total_timeout', 'HSL', '0', 'time', ['1m']],
	['client_body_temp_path', 'HSL', 'client_body_temp', '', ['tmp', 'tmp 1 2 3'], ['tmp 4', qr/is 4; allowed are 1 to 3/],
		['a 1 2 3 3', qr/takes 1 to 4 arguments, 5 given/]],
	['client_body_in_file_only', 'HSL', 'off', '', ['on', 'clean', 'off'], ['maybe', qr/allowed are off, on, clean/]],
	['client_body_in_single_buffer', 'HSL', 'off', 'flag'],
	['client_body_early_read', 'HS', '', 'list', [], ['1', qr/is planned/]],

	# connections
	['keepalive_timeout', 'HSL', '75s', 'time', ['0', '75s', '75s 60s'], ['1s soon', qr/"soon" is not a time/]],
	['keepalive_requests', 'HSL', '1000', 'number', ['1', '100000']],
	['keepalive_time', 'HSL', '1h', 'time', ['1m']],
	['keepalive_min_timeout', 'HSL', '0', 'time', ['1s']],
	['keepalive_disable', 'HSL', '', 'ignored', ['none', 'msie6 safari']],
	['send_timeout', 'HSL', '60s', 'time', ['1s']],
	['lingering_close', 'HSL', 'on', '', ['on', 'off', 'always'], ['never', qr/allowed are off, on, always/]],
	['lingering_time', 'HSL', '30s', 'time', ['1s']],
	['lingering_timeout', 'HSL', '5s', 'time', ['1s']],
	['reset_timedout_connection', 'HSL', 'off', 'flag'],
	['tcp_nodelay', 'HSL', 'on', 'flag'],
	['tcp_nopush', 'HSL', 'off', 'flag'],
	['http2', 'HS', '', '', ['off'], ['on', qr/planned/], ['maybe', qr/neither "on" nor "off"/]],
	['http2_max_concurrent_streams', 'HS', '', 'ignored', ['128']],
	['http2_body_preread_size', 'HS', '', 'ignored', ['64k']],
	['http2_recv_buffer_size', 'H', '', 'ignored', ['256k']],
	['http2_chunk_size', 'HSL', '', 'ignored', ['8k']],
	['http2_glitch_limit', 'HS', '', 'ignored', ['100 window=10s']],
	['http2_extended_connect', 'HS', '', '', ['off'], ['on', qr/planned/]],

	# responses
	['chunked_transfer_encoding', 'HSL', 'on', 'flag'],
	['absolute_redirect', 'HSL', 'on', 'flag'],
	['server_name_in_redirect', 'HSL', 'off', 'flag'],
	['port_in_redirect', 'HSL', 'on', 'flag'],
	['server_tokens', 'HSL', 'off', '', ['on', 'off', 'build', '""', '"by $hostname"'], ['$unknown_one', qr/unknown variable/]],
	['default_type', 'HSL', 'text/plain', '', ['text/html']],
	['types_hash_max_size', 'HSL', '', 'ignored', ['2048']],
	['types_hash_bucket_size', 'HSL', '', 'ignored', ['64']],
	['error_page', 'HSLF', '', 'list', ['404 /404.html', '500 502 503 504 /50x.html', '404 =200 /x', '404 = @x', '403 http://a.test/'],
		['404', qr/takes at least 2 arguments, 1 given/], ['99 /x', qr/"99" is no status/]],
	['recursive_error_pages', 'HSL', 'off', 'flag'],
	['add_header', 'HSLF', '', 'list', ['X-A b', 'X-A "$uri" always', 'X-A ""'], ['"a b" c', qr/"a b" is no name for a field/],
		['X-A b never', qr/unknown parameter "never"/]],
	['add_header_inherit', 'HSLF', 'on', '', ['on', 'off', 'merge'], ['maybe', qr/allowed are off, on, merge/]],
	['early_hints', 'HSL', '', '', ['1', '$arg_a $http_b']],
	['subrequest_output_buffer_size', 'HSL', '', 'ignored', ['4k']],

	# access, names
	['satisfy', 'HSL', 'all', '', ['all', 'any'], ['some', qr/allowed are all, any/]],
	['auth_delay', 'HSL', '0', 'time', ['1s']],
	['resolver', 'HSL', '', '', ['127.0.0.1', '127.0.0.1:5353 [::1] valid=30s ipv4=on ipv6=off status_zone=x stale=1h'],
		['valid=1s', qr/needs the address of a name server/], ['127.0.0.1 valid=x', qr/"x" is not a time/],
		['127.0.0.1 ipv6=maybe', qr/neither "on" nor "off"/], ['127.0.0.1 what=1', qr/unknown parameter "what=1"/]],
	['resolver_timeout', 'HSL', '30s', 'time', ['5s']],

	# logs
	['log_format', 'H', '', 'list', ['mine "$uri"', 'mine escape=json "{$uri}" "x"', 'mine escape=none $uri'],
		['mine', qr/takes at least 2 arguments/], ['mine escape=xml "$uri"', qr/xml/], ['mine "$unknown_one"', qr/unknown variable/]],
	['access_log', 'HSLFX', '', 'list', ['off', 'logs/a.log', 'logs/a.log combined', 'logs/a.log combined buffer=32k flush=5s',
		'logs/a.log combined if=$arg_a', 'syslog:server=127.0.0.1:1 combined', 'logs/a.log json', 'logs/a.log lb'],
		['logs/a.log unknown_format', qr/unknown_format/], ['logs/a.log combined bufer=1k', qr/bufer=1k/],
		['logs/a.log combined gzip', qr/planned/], ['/nowhere/at/all/x.log', qr/no such file or directory/i]],
	['open_log_file_cache', 'HSL', '', '', ['off', 'max=1000 inactive=20s min_uses=2 valid=1m']],
	['log_not_found', 'HSL', 'on', 'flag'],
	['log_subrequest', 'HSL', 'off', 'flag'],

	# proxy
	['proxy_pass', 'LFX', '', '', ['http://127.0.0.1:1', 'http://u', 'http://$host', 'http://unix:/x:'],
		['127.0.0.1', qr/does not begin with http/], ['https://127.0.0.1', qr/needs the tls module/], ['http://', qr/no host/]],
	['proxy_http_version', 'HSL', '1.1', '', ['1.0', '1.1'], ['2', qr/HTTP\/2 to servers is planned/], ['3', qr/allowed are/]],
	['proxy_method', 'HSL', '', '', ['POST', '$request_method']],
	['proxy_set_header', 'HSL', '', 'list', ['Host $host', 'X-A ""'], ['"a b" c', qr/is not a field name/], ['X-A', qr/takes 2 arguments/]],
	['proxy_set_header_inherit', 'HSL', 'on', '', ['on', 'off', 'merge'], ['maybe', qr/allowed are off, on, merge/]],
	['proxy_forwarded', 'HSL', 'off', '', ['off', 'x-forwarded', 'rfc7239', 'both'],
		['on', qr/allowed are off, x-forwarded, rfc7239, both/]],
	['proxy_pass_request_headers', 'HSL', 'on', 'flag'],
	['proxy_pass_request_body', 'HSL', 'on', 'flag'],
	['proxy_set_body', 'HSL', '', '', ['x', '$request_uri']],
	['proxy_pass_trailers', 'HSL', 'off', 'flag'],
	['proxy_upgrade', 'HSL', 'websocket', '', ['on', 'off', 'websocket'], ['h2c', qr/allowed are on, off, websocket/]],
	['proxy_tunnel_timeout', 'HSL', '', 'time', ['1h']],
	['proxy_buffering', 'HSL', 'on', 'flag'],
	['proxy_buffer_size', 'HSL', '16k', 'size', ['4k']],
	['proxy_buffers', 'HSL', '8 16k', '', ['4 4k'], ['1 4k', qr/at least 2/], ['4', qr/takes 2 arguments/], ['4 x', qr/is not a size/]],
	['proxy_busy_buffers_size', 'HSL', '32k', 'size', ['8k']],
	['proxy_max_temp_file_size', 'HSL', '', 'ignored', ['0', '1024m']],
	['proxy_temp_file_write_size', 'HSL', '', 'ignored', ['8k']],
	['proxy_temp_path', 'HSL', '', 'ignored', ['tmp 1 2']],
	['proxy_request_buffering', 'HSL', 'on', 'flag'],
	['proxy_ignore_client_abort', 'HSL', 'off', 'flag'],
	['proxy_bind', 'HSL', '', '', ['off', '127.0.0.1', '$remote_addr transparent'], ['127.0.0.1 opaque', qr/only "transparent"/]],
	['proxy_socket_keepalive', 'HSL', 'off', 'flag'],
	['proxy_socket_rcvbuf', 'HSL', '', 'size', ['64k']],
	['proxy_socket_sndbuf', 'HSL', '', 'size', ['64k']],
	['proxy_send_lowat', 'HSL', '', 'ignored', ['0']],
	['proxy_connect_timeout', 'HSL', '5s', 'time', ['1s']],
	['proxy_send_timeout', 'HSL', '60s', 'time', ['1s']],
	['proxy_read_timeout', 'HSL', '60s', 'time', ['1s']],
	['proxy_header_timeout', 'HSL', '0', 'time', ['1s']],
	['proxy_request_timeout', 'HSL', '0', 'time', ['1s']],
	['proxy_next_upstream', 'HSL', '', '', ['off', 'error timeout invalid_header http_500 http_404 http_429 non_idempotent no_live reused denied'],
		['http_200', qr/"http_200" is no condition/], ['eror', qr/did you mean "error"/]],
	['proxy_next_upstream_tries', 'HSL', '3', 'number', ['0', '10']],
	['proxy_next_upstream_timeout', 'HSL', '0', 'time', ['1s']],
	['proxy_next_upstream_backoff', 'HSL', '', 'time', ['100ms', '100ms max=1s jitter=20%'], ['1s jitter=200%', qr/allowed are 0 to 100/]],
	['proxy_intercept_errors', 'HSL', 'off', 'flag'],
	['proxy_redirect', 'HSL', '', 'list', ['off', 'default', 'http://a/ /', '~^http://(.) /$1', '~*X /'], ['maybe', qr/expected "default"/]],
	['proxy_cookie_domain', 'HSL', '', 'list', ['off', 'a.test b.test', '~\.(.+)$ $1'], ['x', qr/expected "off"/]],
	['proxy_cookie_path', 'HSL', '', 'list', ['off', '/a /b', '~*^/a /b'], ['x', qr/expected "off"/]],
	['proxy_cookie_flags', 'HSL', '', 'list', ['off', 'a secure httponly samesite=lax', '~^s nosecure'], ['a maybe', qr/no cookie flag/]],
	['proxy_hide_header', 'HSL', '', 'list', ['X-A'], ['"a b"', qr/is not a field name/]],
	['proxy_pass_header', 'HSL', '', 'list', ['Server'], ['"a b"', qr/is not a field name/]],
	['proxy_ignore_headers', 'HSL', '', '', ['X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset'
		. ' Expires Cache-Control Set-Cookie Vary'], ['X-Other', qr/allowed are X-Accel-Redirect/]],
	['proxy_headers_hash_max_size', 'HSL', '', 'ignored', ['512']],
	['proxy_headers_hash_bucket_size', 'HSL', '', 'ignored', ['64']],

	# upstream
	['resolver', 'U', '', '', ['127.0.0.1 valid=30s', '[::1]:5353 valid_min=1s valid_max=1m timeout=2s stale=0 ipv6=off'],
		['127.0.0.1 valid=0', qr/"0" is no time to wait/], ['127.0.0.1 ipv4=off ipv6=off', qr/neither "ipv4" nor "ipv6" is on/],
		['127.0.0.1 valid_min=2s valid_max=1s', qr/"valid_max" is less than "valid_min"/],
		['*:53', qr/not the address of a name server/], ['unix:/x', qr/not the address of a name server/],
		['127.0.0.1 ipv4=maybe', qr/neither "on" nor "off"/], ['valid=1s', qr/needs the address of a name server/]],
	['resolver_timeout', 'U', '', 'time', ['5s']],
	['upstream_init_addr', 'U', 'last libc none', '', ['none', 'last 127.0.0.1', 'libc ::1 none'],
		['last soon', qr/"soon" is none of last, libc, none and an address/], ['127.0.0.1:80', qr/none of last, libc/]],
	['discover', 'U', '', 'list', ['file servers.json'], ['consul x', qr/"consul" is not known here; allowed is "file"/]],
	['discover_policy', 'U', 'min_ratio=50% on_empty=keep remove_delay=30s', '', ['on_empty=clear', 'remove_delay=0 min_ratio=0%'],
		['min_ratio=x', qr/"x" is not a percentage/], ['on_empty=x', qr/neither "keep" nor "clear"/],
		['min_ration=5%', qr/did you mean "min_ratio="/]],
	['zone', 'U', '', '', ['a', 'a 64k'], ['a 1k', qr/too small; allowed are 32k and more/], ['a x', qr/"x" is not a size/]],
	['keepalive', 'U', '32', 'number', ['0', '16 local'], ['16 lokal', qr/unknown parameter "lokal".*did you mean "local"/s]],
	['keepalive_requests', 'U', '1000', 'number', ['100'], ['0', qr/is 0; allowed are 1 to/]],
	['keepalive_time', 'U', '1h', 'time', ['1m']],
	['keepalive_timeout', 'U', '60s', 'time', ['1m']],
	['least_conn', 'U', '', 'any', ['']],
	['ip_hash', 'U', '', 'any', ['']],
	['hash', 'U', '', '', ['$uri', '$remote_addr$host consistent', 'x consistent bound=1.25', '$uri bound=2', '$uri balance_factor=150 consistent'],
		['$nothing', qr/unknown variable "\$nothing"/], ['$uri consistant', qr/unknown parameter "consistant".*did you mean "consistent"/s],
		['$uri bound=1', qr/"1" is no bound; allowed are numbers above 1/], ['$uri bound=1.255', qr/is no bound/],
		['$uri balance_factor=100', qr/allowed are percentages above 100/]],
	['random', 'U', '', 'any', ['', 'two', 'two least_conn', 'two least_time=header', 'two least_time=last_byte'],
		['three', qr/"three" is not allowed here; allowed is "two"/],
		['two most', qr/"most" is no method; allowed are least_conn, least_time=header, least_time=last_byte/]],
	['least_time', 'U', '', '', ['header', 'last_byte', 'header inflight', 'last_byte inflight'],
		['connect', qr/"connect" is no time; allowed are header, last_byte/], ['header outflight', qr/unknown parameter "outflight"/]],
	['outlier_detection', 'U', 'max_ejected=50', '', ['off', 'errors=5 statuses=429,500-599 gateway_errors=3 error_rate=50%',
		'min_requests=10 latency=2.5 interval=5s eject_time=20s max_eject_time=100s max_ejected=30'],
		['off errors=1', qr/"off" takes no parameters/], ['erors=1', qr/unknown parameter "erors=1".*did you mean "errors="/s],
		['latency=0.5', qr/"0.5" is not a factor/], ['statuses=600', qr/"600" is no list of statuses/]],
	['health_check', 'LU', '', 'list any', ['', 'interval=1s jitter=100ms fails=3 passes=2 uri=/a?b port=81 mandatory persistent',
		'type=tcp timeout=1s', 'type=http keepalive_time=1m down_interval=10s fast_interval=1s mode=always', 'method=HEAD host=a.test header=X-A:b share=off'],
		['interval=0', qr/allowed are 10ms to 4h/], ['fails=0', qr/allowed are 1 to 1000/], ['port=65536', qr/allowed are 1 to 65535/],
		['uri=x', qr/is no URI to ask for/], ["'uri=/a b'", qr/is no URI to ask for/], ['persistent', qr/stands behind "mandatory"/],
		['type=udp', qr/allowed are http and tcp/], ['type=grpc', qr/planned/], ['type=tls', qr/planned/], ['udp', qr/planned/],
		['mode=idle', qr/planned/], ['mode=x', qr/allowed is always/], ['share=x', qr/planned/], ['grpc_status=12', qr/planned/],
		['method=CONNECT', qr/no method for a check/], ["'method=A B'", qr/is no method/], ['header=Connection:x', qr/the check's own/],
		['header=x', qr/is no header/], ["'host=a b'", qr/is no name of a host/], ['type=tcp uri=/', qr/of type tcp has no uri/],
		['match=none', qr/there is no match "none"/], ['match=', qr/"match" needs a name/], ['intervall=1s', qr/did you mean "interval="/]],
	['panic_threshold', 'U', '0', '', ['50', '12.5%'], ['101', qr/is not a percentage/]],
	['no_live_action', 'U', 'last_resort', '', ['fail', 'last_resort'], ['maybe', qr/allowed are fail, last_resort/]],
	['circuit_breaker', 'U', 'off', '', ['off', 'max_requests=10', 'max_pending=5 open=50 interval=5s half_open=3'],
		['open=0', qr/allowed are 1 to 100/], ['open=101', qr/not a percentage/], ['max_requests=0', qr/allowed are 1 to/],
		['interval=1ms', qr/allowed are 100ms to 1h/], ['half=1', qr/unknown parameter "half=1"/]],
	['sticky', 'U', '', '', ['cookie srv', 'cookie srv expires=1h domain=.x path=/ httponly secure samesite=strict', 'cookie a expires=max',
		'cookie a samesite=$arg_s', 'route $arg_r $cookie_r', 'learn create=$upstream_cookie_s lookup=$cookie_s zone=a:64k',
		'learn create=$upstream_cookie_s lookup=$cookie_s lookup=$arg_s zone=a:1m timeout=1h header'],
		['cookie', qr/at least 2 arguments/], ['"" x', qr/allowed are cookie, route and learn/], ['cokie a', qr/did you mean "cookie"/],
		['cookie "a b"', qr/not the name of a cookie/], ['cookie a "path=x;y"', qr/cannot stand in a cookie/],
		['cookie a samesite=never', qr/allowed are strict, lax, none/], ['cookie a forever', qr/unknown parameter "forever"/],
		['route x', qr/holds no variable/], ['learn zone=a:64k create=$a', qr/unknown variable|needs create=/],
		['learn create=$arg_a lookup=$arg_a zone=a', qr/a name and a size/], ['learn create=$arg_a lookup=$arg_a zone=a:1k', qr/allowed are 32k to 1g/],
		['learn create=$arg_a lookup=$arg_a', qr/needs create=, lookup= and zone=/], ['learn sync create=$arg_a', qr/planned/]],
	['sticky_secret', 'U', '', '', ['x', '$remote_addr']],
	['sticky_strict', 'U', 'off', 'flag', ['on', 'off']],
	['queue', 'U', '', '', ['10', '100 timeout=5s'], ['0', qr/allowed are 1 to 1000000/], ['5 timeout=0', qr/1ms and more/],
		['5 size=1', qr/unknown parameter "size=1"/]],
	['retry_budget', 'U', '20 min=10 interval=10s', '', ['20%', '50 min=5 interval=1s'], ['200', qr/is not a percentage/],
		['20 max=1', qr/unknown parameter "max=1"/]],
	['server', 'U', '', 'list', ['127.0.0.1', '127.0.0.1:8080 weight=5 max_conns=10 max_fails=3 fail_timeout=30s', 'unix:/x',
		'[::1]:80 down', '127.0.0.1 backup', '127.0.0.1 drain route=a', '127.0.0.1 slow_start=10s name=a'],
		['127.0.0.1 weight=x', qr/"x" is not a number/], ['127.0.0.1 weight=65536', qr/allowed are 0 to 65535/],
		['127.0.0.1 max_conns=-1', qr/allowed are 0 to/], ['127.0.0.1 fail_timeout=x', qr/is not a time/],
		['127.0.0.1 wieght=1', qr/did you mean "weight="/], ['a..b resolve', qr/is no name to look up/], ['127.0.0.1 service=http', qr/is no name to look up/],
		['a.b service=http', qr/"service" needs "resolve"/], ['a.b:80 service=http resolve', qr/a service has no port here/],
		['127.0.0.1 locality=a', qr/planned/], ['127.0.0.1 backup=2', qr/planned/], ['127.0.0.1:0', qr/"127.0.0.1:0" is not the address/],
		['*:80', qr/is not the address of a server/], ['127.0.0.1 "route=a; b"', qr/may hold no ";"/]],
);

sub check {
	my (%in) = @_;
	my %t = map { $_ => $in{$_} // '' } @contexts;
	my $pass = grep(/health_check/, values %in) ? 'proxy_pass http://u;' : '';
	my $limit = $in{no_limit} ? '' : "limit_except GET { $t{limit_except} }";

	spew("$dir/lbd.conf", <<"EOT");
$t{main}
events { $t{events} }
http {
	$t{http}
	upstream u { server 127.0.0.1:1; $t{upstream} }
	server {
		listen 127.0.0.1:$port;
		$t{server}
		if (\$uri) { $t{'if in server'} }
		location / { $pass $t{location} if (\$uri) { $t{'if in location'} } $limit }
	}
}
EOT
	return lbd_run('-t', '-p', $dir, '-c', 'lbd.conf', '-e', 'stderr');
}

my %own = (
	flag => [['on', 'off'], ['maybe', qr/"maybe" is neither "on" nor "off"/], ['on off', qr/takes one argument, 2 given/]],
	time => [[], ['soon', qr/"soon" is not a time; allowed are numbers with ms, s, m, h, d, w, M, y/], ['-1', qr/is not a time/],
		['999999999999999y', qr/is not a time/]],
	size => [[], ['many', qr/"many" is not a size; allowed are numbers with k, m, g/], ['-1', qr/is not a size/],
		['99999999999g', qr/is not a size/]],
	number => [[], ['many', qr/"many" is not a number/], ['99999999999999999999', qr/not a number|allowed are/]],
);

# name => kind of its table: what --print-directives says
my %told;
{
	my ($code, $out) = lbd_run('--print-directives', glob modules_folder() . '/*.so');

	is($code, 0, '--print-directives');
	for (split /\n/, $out) {
		my ($name, undef, $where, undef, $default) = split /\t/, $_, -1;
		push @{ $told{$name} }, [$where, $default];
	}
}

my %listed = map { $_ => 1 } qw(events http upstream location if limit_except types match); # blocks: below
for (@table) {
	my ($name, $letters, $default, $kind, $good, @bad) = @$_;
	my @where = map { $short{$_} } split //, $letters;
	my ($own, @own_bad) = @{ $own{ ($kind =~ /(\w+)$/)[0] // '' } // [[]] };
	my @good = (@$own, @{ $good // [] });

	$listed{$name} = 1;
	subtest $name => sub {
		my ($row) = grep { my $w = $_->[0]; grep { $w =~ /\b\Q$_\E\b/ } @where } @{ $told{$name} };
		my %at = map { my ($w) = @$_; map { $_ => 1 } split /, /, $w } @{ $told{$name} };

		is(join(', ', grep { $at{$_} } @where), join(', ', @where), 'its contexts');
		is($row->[1], $default, 'its default');
		for my $args (@good) {
			my ($code, $out) = check(map { $_ => "$name $args;" } @where);

			is($code, 0, "$name $args") or diag $out;
		}
		for (@own_bad, @bad) {
			my ($args, $why) = @$_;
			next if !defined $why;
			my ($code, $out) = check($where[0] => "$name $args;");

			ok($code == 1 && $out =~ $why, "refused: $name $args") or diag $out;
			like($out, qr/^\Qlbd.conf\E:\d+:\d+: /m, 'says where') if $out !~ m{^\S*lbd\.conf:\d+:\d+: }m;
		}
		if ($kind !~ /any/) {
			my ($code, $out) = check($where[0] => "$name;");

			ok($code == 1 && $out =~ /"\Q$name\E" takes [\w ]+, none given/, 'without arguments') or diag $out;
		}
		done_testing(), return if !@good;

		# a block of the same name may be what is meant elsewhere
		my @elsewhere = grep { !$at{$_} } @contexts;
		my ($code, $out) = check(map { $_ => "$name $good[0];" } @elsewhere);

		is($code, 1, 'elsewhere: refused');
		is(() = $out =~ /: "\Q$name\E" is not allowed (?:outside all blocks|in "\w+"); it belongs in: /g, @elsewhere, 'each time')
			or diag $out;
		($code, $out) = check($where[0] => "$name $good[0]; $name $good[0];");
		if ($kind =~ /list|ignored/) {
			unlike($out, qr/"\Q$name\E" is given twice/, 'may be repeated');
		} else {
			ok($code == 1 && $out =~ /: "\Q$name\E" is given twice; first at \S+:\d+:\d+/, 'twice: refused') or diag $out;
		}
		done_testing();
	};
}
is_deeply([grep { !$listed{$_} } sort keys %told], [], 'every directive is in this table');

# blocks
sub block {
	my ($text, $why, %more) = @_;
	my ($code, $out) = check(%more, %$text);
	my ($where) = keys %$text;

	if (defined $why) {
		ok($code == 1 && $out =~ $why, "refused in $where: $text->{$where}") or diag $out;
	} else {
		is($code, 0, "in $where: $text->{$where}") or diag $out;
	}
}
block({ main => 'events { }' }, qr/"events" is given twice/);
block({ main => 'http { }' }, qr/"http" is given twice/);
block({ main => 'server { }' }, qr/"server" is not allowed outside all blocks/);
block({ http => 'http { }' }, qr/"http" is not allowed in "http"/);
block({ http => 'server { }  server { }' }, undef) if is_root();
block({ http => 'server x { }' }, qr/"server" takes no arguments, 1 given/);
block({ http => 'server;' }, qr/"server" needs a block/);
block({ http => 'upstream a { server 127.0.0.1; } upstream b { server unix:/b; }' });
block({ http => 'upstream a { }' }, qr/"a" has no server/);
block({ http => 'upstream { server 127.0.0.1; }' }, qr/"upstream" takes one argument, none given/);
block({ http => 'upstream a { server 127.0.0.1; } upstream a { server 127.0.0.1; }' }, qr/upstream "a" was already defined at \S+:4/);
block({ http => 'upstream a;' }, qr/"upstream" needs a block/);
block({ server => 'upstream a { server 127.0.0.1; }' }, qr/"upstream" is not allowed in "server"/);
block({ upstream => 'location / { }' }, qr/"location" is not allowed in "upstream"/);
block({ server => 'location /a { location /a/b { } location ~ x { } } location = /a { } location ^~ /b { } location ~* y { } location @n { }' });
block({ server => 'location { }' }, qr/"location" takes 1 to 2 arguments, none given/);
block({ server => 'location ! /a { }' }, qr/"!" is no location modifier/);
block({ server => 'location ~ ( { }' }, qr/regular expression "\("/);
block({ server => 'location /a { location /b { } }' }, qr/location "\/b" is outside location "\/a"/);
block({ server => 'location /a { location @b { } }' }, qr/can be on the server level only/);
block({ server => 'location = /a { location /a/b { } }' }, qr/cannot be inside the exact location/);
block({ server => 'location /a { } location /a { }' }, qr/location "\/a" is given twice/);
block({ server => 'if ($arg_a) { return 200; } if (-f /x) { break; } if ($uri !~ "^/a b") { set $x 1; }' });
block({ server => 'if { }' }, qr/"if" takes at least one argument, none given/);
block({ server => 'if ($uri) { location / { } }' }, qr/"location" is not allowed in "if"/);
block({ http => 'if ($uri) { }' }, qr/"if" is not allowed in "http"/);
block({ location => 'limit_except GET POST { proxy_pass http://u; access_log off; }' }, undef, no_limit => 1);
block({ location => 'limit_except get MKCOL { }' }, undef, no_limit => 1);
block({ location => 'limit_except { }' }, qr/"limit_except" takes 1 to 64 arguments, none given/, no_limit => 1);
block({ location => 'limit_except G=T { }' }, qr/"G=T" is no method/, no_limit => 1);
block({ location => 'limit_except GET { } limit_except POST { }' }, qr/"limit_except" is given twice/, no_limit => 1);
block({ location => 'limit_except GET { return 200; }' }, qr/"return" is not allowed in "limit_except"/, no_limit => 1);
block({ server => 'limit_except GET { }' }, qr/"limit_except" is not allowed in "server"/);
block({ $_ => 'types { text/html html htm; }' }) for qw(http server location);
block({ http => 'match a { status 200-299 304; status ! 250; header X-A; header ! X-B; header !X-C; header X-D = d; header X-E !~* "e$"; '
	. 'body ~ "x{2}y"; body !~* z; drain status 404; drain header X-F; }' });
block({ http => 'match a { }' }, qr/match "a" has no tests/);
block({ http => 'match a { status 200; } match a { status 200; }' }, qr/match "a" is given twice/);
for my $bad (['status', qr/"status" needs a status/], ['status !', qr/"status" needs a status/], ['status 99', qr/"99" is no status/],
	['status 300-200', qr/"300-200" is no status/], ['header', qr/"header" needs a name/], ['header a b', qr/"header" needs a name/],
	['header a b c', qr/"b" is no comparison; allowed are =, !=, ~/], ['header a ~ "("', qr/regular expression "\("/],
	['body', qr/"body" needs ~ or !~/], ['body = x', qr/"=" is no comparison; allowed are ~/], ['body ~ "["', qr/regular expression "\["/],
	['require $x', qr/"require" is not supported yet; it is planned/], ['drain', qr/unknown test "drain"/], ['drain status x', qr/"x" is no status/],
	['statsu 200', qr/unknown test "statsu".*did you mean "status"/s]) {
	block({ http => "match a { $bad->[0]; }" }, $bad->[1]);
}
block({ main => 'match a { status 200; }' }, qr/"match" is not allowed outside all blocks/);
block({ location => 'health_check match=a; if ($uri) { proxy_pass http://v$uri; }', http => 'match a { status 200; }' });
block({ main => 'types { }' }, qr/"types" is not allowed outside all blocks/);

# what other modules will bring says which module
my %module = (
	static => [qw(root alias index try_files sendfile sendfile_max_chunk aio directio output_buffers postpone_output etag if_modified_since
		max_ranges disable_symlinks open_file_cache open_file_cache_valid autoindex expires gzip gzip_types gzip_static gunzip charset)],
	tls => [qw(ssl_certificate ssl_certificate_key ssl_protocols ssl_session_cache proxy_ssl_server_name proxy_ssl_verify)],
	metrics => [qw(prometheus stub_status status_zone metrics_histogram api)],
	cache => [qw(proxy_cache proxy_cache_path proxy_no_cache proxy_store slice)],
	auth => [qw(auth_basic auth_basic_user_file auth_request)],
	mirror => [qw(mirror mirror_request_body)],
	grpc => [qw(grpc_pass)],
);
for my $module (sort keys %module) {
	my $names = $module{$module};
	my ($code, $out) = check(location => join ' ', map { "$_ x;" } @$names);

	is(() = $out =~ /: "\w+" belongs to the module $module, which is planned and not built into this lbd$/mg, @$names,
		"directives of $module") or diag $out;
}
for (['location', qw(allow deny limit_req limit_conn limit_rate real_ip_header set_real_ip_from mirror_x proxy_protocol proxy_connection_drop
		proxy_limit_rate proxy_force_ranges proxy_tunnel_close_delay proxy_request_dynamic proxy_bind_dynamic proxy_allow_upstream)],
	['http', qw(map geo split_clients limit_req_zone limit_conn_zone)],
	['main', qw(stream reload_inplace)],
	['upstream', qw(state servers_file
		keepalive_total ntlm)]) {
	my ($where, @names) = @$_;
	my ($code, $out) = check($where => join ' ', map { "$_ x;" } @names);

	is(() = $out =~ /: "\w+" (?:is planned|belongs to the module \w+, which is planned) and not built into this lbd$/mg, @names,
		"planned for $where") or diag $out;
}

done_testing;
