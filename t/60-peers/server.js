// SPDX-License-Identifier: MIT
//
// A server for tests: node server.js PORT
//
//	GET  /size/N/HOW     N bytes: length, chunks, trailers, close, slow (pieces with pauses)
//	any  with a body     "SIZE MD5 FRAMING" of it; /echo sends it back while it comes
//	GET  /early          103 with a Link, then 200
//	GET  /gzip           compressed, with its checksum in X-MD5
//	GET  /events         text/event-stream: one event for each POST /event, until POST /event?end
//	GET  /abort          half a body, then a reset
//	GET  /ws             WebSocket: sends back what comes

'use strict';

const crypto = require('crypto');
const http = require('http');
const zlib = require('zlib');

const block = Buffer.from(Array.from({ length: 65536 }, (_, i) => 32 + ((i + 1) * 7) % 95));
const listening = new Set(); // responses to /events

function md5(bytes) {
	return crypto.createHash('md5').update(bytes).digest('hex');
}

function sample(size) {
	return Buffer.alloc(size, block);
}

function sendSize(res, size, how) {
	const body = sample(size);
	if (how === 'length') {
		res.writeHead(200, { 'Content-Length': size, ETag: '"x"' });
		res.end(body);
	} else if (how === 'close') {
		res.useChunkedEncodingByDefault = false;
		res.shouldKeepAlive = false;
		res.removeHeader('Transfer-Encoding');
		res.writeHead(200, { Connection: 'close' });
		res.end(body);
	} else if (how === 'trailers') {
		res.writeHead(200, { Trailer: 'X-MD5' });
		res.write(body);
		res.addTrailers({ 'X-MD5': md5(body) });
		res.end();
	} else { // chunks, slow
		const piece = how === 'slow' ? Math.ceil(size / 10) || 1 : 10007;
		let at = 0;
		const more = () => {
			while (at < size) {
				const full = !res.write(body.subarray(at, at + piece));
				at += piece;
				if (how === 'slow') {
					setTimeout(more, 10);
					return;
				}
				if (full) {
					res.once('drain', more);
					return;
				}
			}
			res.end();
		};
		res.writeHead(200, { 'Content-Type': 'text/plain' });
		more();
	}
}

function sayWhatCame(req, res) {
	const sum = crypto.createHash('md5');
	let size = 0;
	req.on('data', (d) => {
		size += d.length;
		sum.update(d);
	});
	req.on('end', () => {
		const framing = req.headers['transfer-encoding'] || req.headers['content-length'] || 'none';
		res.end(`${size} ${sum.digest('hex')} ${framing}`);
	});
}

function answer(req, res) {
	const size = /^\/size\/(\d+)\/(\w+)$/.exec(req.url);
	res.on('error', () => {});
	if (req.url.startsWith('/event?') || req.url === '/event') {
		for (const to of listening) {
			to.write(`data: ${req.url}\n\n`);
			if (req.url === '/event?end') {
				to.end();
				listening.delete(to);
			}
		}
		res.end(`${listening.size}`);
	} else if (req.url === '/echo') {
		res.writeHead(200);
		req.pipe(res);
	} else if (req.method === 'POST' || req.method === 'PUT') {
		sayWhatCame(req, res);
	} else if (size) {
		sendSize(res, Number(size[1]), size[2]);
	} else if (req.url === '/early') {
		res.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => res.end('after hints'));
	} else if (req.url === '/gzip') {
		const body = zlib.gzipSync(sample(100000));
		res.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Length': body.length, 'X-MD5': md5(body), Vary: 'Accept-Encoding' });
		res.end(body);
	} else if (req.url === '/events') {
		listening.add(res);
		res.on('close', () => listening.delete(res));
		res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
		res.write(': hello\n\n');
	} else if (req.url === '/abort') {
		res.writeHead(200, { 'Content-Length': 1000 });
		res.write('half', () => req.socket.resetAndDestroy());
	} else {
		res.end(`hello ${req.socket.remotePort}`);
	}
}

// --- WebSocket ---

function frame(opcode, data) {
	const n = data.length;
	let head;
	if (n < 126) {
		head = Buffer.from([0x80 | opcode, n]);
	} else if (n < 65536) {
		head = Buffer.from([0x80 | opcode, 126, n >> 8, n & 255]);
	} else {
		head = Buffer.alloc(10);
		head[0] = 0x80 | opcode;
		head[1] = 127;
		head.writeBigUInt64BE(BigInt(n), 2);
	}
	return Buffer.concat([head, data]);
}

// One frame at the beginning of buf: { opcode, data, rest }, or null when it is not whole.
function unframe(buf) {
	if (buf.length < 2)
		return null;
	let n = buf[1] & 127;
	let at = 2;
	if (n === 126) {
		if (buf.length < 4)
			return null;
		n = buf.readUInt16BE(2);
		at = 4;
	} else if (n === 127) {
		if (buf.length < 10)
			return null;
		n = Number(buf.readBigUInt64BE(2));
		at = 10;
	}
	const masked = buf[1] & 128;
	const key = masked ? buf.subarray(at, at + 4) : null;
	if (masked)
		at += 4;
	if (buf.length < at + n)
		return null;
	const data = Buffer.from(buf.subarray(at, at + n));
	for (let i = 0; masked && i < n; i++)
		data[i] ^= key[i & 3];
	return { opcode: buf[0] & 15, data, rest: buf.subarray(at + n) };
}

function upgrade(req, socket, first) {
	const sum = crypto.createHash('sha1').update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
	let buf = first;
	const take = () => {
		for (let f = unframe(buf); f; f = unframe(buf)) {
			buf = f.rest;
			if (f.opcode === 8) {
				socket.end(frame(8, f.data));
				return;
			}
			socket.write(frame(f.opcode === 9 ? 10 : f.opcode, f.data));
		}
	};
	socket.on('error', () => {});
	socket.on('data', (d) => {
		buf = Buffer.concat([buf, d]);
		take();
	});
	socket.on('end', () => socket.end());
	socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${sum.digest('base64')}\r\n\r\n`);
	take();
}

const server = http.createServer(answer);
server.keepAliveTimeout = 60000;
server.requestTimeout = 0;
server.on('upgrade', upgrade);
server.on('clientError', (err, socket) => socket.destroy());
server.listen(Number(process.argv[2]), '127.0.0.1');
