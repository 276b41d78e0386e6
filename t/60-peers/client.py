# SPDX-License-Identifier: MIT
#
# A client for tests: python3 client.py PORT, with server.js behind that port; /stream/ is unbuffered.
# /patient/ bears half-closed connections.  Prints "ok WHAT" or "not ok WHAT: WHY".

import concurrent.futures
import hashlib
import http.client
import socket
import sys

PORT = int(sys.argv[1])
BLOCK = bytes(32 + (i + 1) * 7 % 95 for i in range(65536))
failed = 0


def check(good, what, why=""):
    global failed
    failed += not good
    print("ok " + what if good else "not ok %s: %s" % (what, why))


def sample(size):
    return (BLOCK * (1 + size // len(BLOCK)))[:size]


def md5(data):
    return hashlib.md5(data).hexdigest()


def connect():
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)


def ask(conn, method, path, body=None, headers=None, **more):
    conn.request(method, path, body=body, headers=headers or {}, **more)
    res = conn.getresponse()
    return res.status, res.read(), res


def keep_alive():
    conn = connect()
    conn.connect()
    first = conn.sock
    good = True
    for size in (0, 1, 100, 16384, 70000, 0, 5):
        for how in ("length", "chunks"):
            status, data, _ = ask(conn, "GET", "/size/%d/%s" % (size, how))
            good = good and status == 200 and data == sample(size)
    check(good, "sizes in both framings")
    check(conn.sock is first, "over one connection")
    status, data, res = ask(conn, "HEAD", "/size/100/length")
    check(status == 200 and data == b"" and res.getheader("Content-Length") == "100", "HEAD")
    status, data, _ = ask(conn, "GET", "/size/10/length")
    check(data == sample(10), "after a HEAD")
    conn.close()


def uploads():
    conn = connect()
    for where in ("", "/stream"):
        for size in (0, 1, 16383, 16384, 16385, 65536, 1 << 20):
            body = sample(size)
            _, data, _ = ask(conn, "POST", where + "/up", body)
            want = "%d %s " % (size, md5(body))
            check(data.decode().startswith(want), "%s/up: %d bytes" % (where, size), data)
            pieces = (body[i:i + 9973] for i in range(0, size, 9973))
            _, data, _ = ask(conn, "PUT", where + "/up", pieces, {"Transfer-Encoding": "chunked"},
                             encode_chunked=True)
            check(data.decode().startswith(want), "%s/up: %d bytes in chunks" % (where, size), data)
    conn.close()


def many_at_once():
    def one(n):
        conn = connect()
        good = True
        for i in range(20):
            size = (n * 3571 + i * 977) % 100000
            _, data, _ = ask(conn, "GET", "/size/%d/%s" % (size, "chunks" if i % 2 else "length"))
            good = good and data == sample(size)
            _, data, _ = ask(conn, "POST", "/up", sample(size))
            good = good and data.decode().startswith("%d %s " % (size, md5(sample(size))))
        conn.close()
        return good

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        check(all(pool.map(one, range(8))), "8 threads")


def raw(data, half_close=False):
    s = socket.create_connection(("127.0.0.1", PORT), timeout=30)
    s.sendall(data)
    if half_close:
        s.shutdown(socket.SHUT_WR)
    out = b""
    while True:
        got = s.recv(65536)
        if not got:
            break
        out += got
    s.close()
    return out


def by_hand():
    one = b"GET /size/5/length HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /size/5/length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    out = raw(one * 9 + last)
    check(out.count(b"HTTP/1.1 200 ") == 10 and out.count(sample(5)) == 10, "10 requests in one write", out)
    out = raw(one.replace(b"/size", b"/patient/size") * 3, half_close=True)
    check(out.count(b"HTTP/1.1 200 ") == 3, "half-closed after three requests", out)
    out = raw(b"GET /size/5/chunks HTTP/1.0\r\n\r\n")
    head, _, body = out.partition(b"\r\n\r\n")
    check(body == sample(5) and b"chunked" not in head.lower(), "HTTP/1.0", out)
    out = raw(b"GET /size/5/length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
              b"GET /size/5/length HTTP/1.0\r\n\r\n")
    check(out.count(b" 200 ") == 2, "HTTP/1.0 with keep-alive", out)
    out = raw(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nhello")
    check(md5(b"hello").encode() in out, "Expect, without waiting", out)


keep_alive()
uploads()
many_at_once()
by_hand()
sys.exit(1 if failed else 0)
