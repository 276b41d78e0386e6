// SPDX-License-Identifier: MIT
//
// A client for tests: node client.js PORT, with server.js behind that port; /stream/ is unbuffered.
// Prints "ok WHAT" or "not ok WHAT: WHY".

'use strict';

const crypto = require('crypto');
const http = require('http');
const { Readable } = require('stream');
const zlib = require('zlib');

const port = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const block = Buffer.from(Array.from({ length: 65536 }, (_, i) => 32 + ((i + 1) * 7) % 95));
let failed = false;

function check(good, what, why) {
	failed ||= !good;
	console.log(good ? `ok ${what}` : `not ok ${what}: ${why}`);
}

function md5(bytes) {
	return crypto.createHash('md5').update(bytes).digest('hex');
}

function sample(size) {
	return Buffer.alloc(size, block);
}

// { status, headers, trailers, body, information }; body: a Buffer, or a stream sent in chunks
function ask(path, { method = 'GET', headers = {}, body = null, use = agent } = {}) {
	return new Promise((resolve, reject) => {
		const information = [];
		const req = http.request({ port, host: '127.0.0.1', path, method, headers, agent: use }, (res) => {
			const parts = [];
			const from = res.socket.localPort;
			res.on('data', (d) => parts.push(d));
			res.on('error', reject);
			res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, trailers: res.trailers,
				body: Buffer.concat(parts), information, from }));
		});
		req.on('information', (i) => information.push(i));
		req.on('error', reject);
		if (body instanceof Readable)
			body.pipe(req);
		else
			req.end(body);
	});
}

async function parallel() {
	const sizes = Array.from({ length: 200 }, (_, i) => (i * 977) % 40000);
	const got = await Promise.all(sizes.map((n, i) => ask(`/size/${n}/${i % 2 ? 'chunks' : 'length'}`)));
	const wrong = got.filter((r, i) => r.status !== 200 || !r.body.equals(sample(sizes[i])));
	check(wrong.length === 0, '200 requests at once over 8 connections', `${wrong.length} were wrong`);
	const ports = new Set(got.map((r) => r.from));
	check(ports.size <= 8, 'connections are kept', `${ports.size} were used`);
}

async function uploads() {
	for (const where of ['', '/stream']) {
		const sizes = [0, 1, 16383, 16384, 16385, 65536, 1 << 20];
		const got = await Promise.all(sizes.map((n) => {
			const body = Readable.from((function* () {
				for (let at = 0; at < n; at += 7919)
					yield sample(n).subarray(at, Math.min(at + 7919, n));
			})());
			return ask(`${where}/up`, { method: 'POST', body });
		}));
		got.forEach((r, i) => check(r.body.toString().startsWith(`${sizes[i]} ${md5(sample(sizes[i]))} `),
			`${where || '/'} stream of ${sizes[i]} bytes up`, r.body.toString()));
		const r = await ask(`${where}/echo`, { method: 'POST', body: Readable.from([sample(300000), sample(300000)]) });
		check(r.body.length === 600000 && md5(r.body) === md5(Buffer.concat([sample(300000), sample(300000)])),
			`${where || '/'} there and back`, `${r.body.length} bytes`);
	}
}

// The answer comes while the request is still being sent.
function duplex() {
	return new Promise((resolve) => {
		const req = http.request({ port, host: '127.0.0.1', path: '/stream/echo', method: 'POST', agent }, (res) => {
			let n = 0;
			let text = '';
			res.on('data', (d) => {
				text += d;
				if (text.length === 4 * (n + 1) && ++n < 5)
					req.write('ping');
				else if (n === 5)
					req.end();
			});
			res.on('end', () => {
				check(text === 'ping'.repeat(5), 'both directions at once', text);
				resolve();
			});
		});
		req.on('error', (e) => {
			check(false, 'both directions at once', e.message);
			resolve();
		});
		req.write('ping');
	});
}

async function features() {
	let r = await ask('/early');
	check(r.body.toString() === 'after hints', '103: the answer', r.body.toString());
	check(r.information.length === 0, '103: not by itself', JSON.stringify(r.information));
	r = await ask('/hints/early');
	check(r.information.length === 1 && r.information[0].statusCode === 103 && r.information[0].headers.link === '</a.css>; rel=preload',
		'103: with early_hints', JSON.stringify(r.information));
	check(r.body.toString() === 'after hints', '103: and the answer', r.body.toString());
	r = await ask('/trailers/size/5000/trailers', { headers: { TE: 'trailers', Connection: 'TE, keep-alive' } });
	check(r.trailers['x-md5'] === md5(sample(5000)), 'trailers', JSON.stringify(r.trailers));
	r = await ask('/gzip', { headers: { 'Accept-Encoding': 'gzip' } });
	check(r.headers['content-encoding'] === 'gzip' && md5(r.body) === r.headers['x-md5'], 'gzip is passed as it is',
		JSON.stringify(r.headers));
	check(zlib.gunzipSync(r.body).equals(sample(100000)), 'gzip: its content', 'differs');
	r = await ask('/stream/size/100000/slow');
	check(r.body.equals(sample(100000)), 'slow pieces', `${r.body.length} bytes`);
	r = await ask('/size/70000/close');
	check(r.body.equals(sample(70000)), 'until the server closes', `${r.body.length} bytes`);
	const cut = await ask('/stream/abort').then((x) => `status ${x.status}`, (e) => e.code);
	check(cut === 'ECONNRESET', 'a response that is cut is seen to be', cut);
	r = await ask('/size/100/length', { method: 'HEAD' });
	check(r.status === 200 && r.body.length === 0 && r.headers['content-length'] === '100', 'HEAD', JSON.stringify(r.headers));
}

// Server-sent events: each is there before the next is asked for.
function events() {
	return new Promise((resolve) => {
		const want = [': hello\n\n', 'data: /event?1\n\n', 'data: /event?2\n\n', 'data: /event?end\n\n'];
		const next = ['/event?1', '/event?2', '/event?end'];
		let text = '';
		let n = 0;
		http.get({ port, host: '127.0.0.1', path: '/stream/events', agent }, (res) => {
			res.on('data', (d) => {
				text += d;
				if (text === want.slice(0, n + 1).join('') && n < next.length)
					ask(next[n++], { method: 'POST' });
			});
			res.on('end', () => {
				check(text === want.join(''), 'server-sent events', JSON.stringify(text));
				resolve();
			});
		});
	});
}

// --- WebSocket ---

function masked(opcode, data) {
	const key = crypto.randomBytes(4);
	const n = data.length;
	let head;
	if (n < 126) {
		head = Buffer.from([0x80 | opcode, 0x80 | n]);
	} else if (n < 65536) {
		head = Buffer.from([0x80 | opcode, 0x80 | 126, n >> 8, n & 255]);
	} else {
		head = Buffer.alloc(10);
		head[0] = 0x80 | opcode;
		head[1] = 0x80 | 127;
		head.writeBigUInt64BE(BigInt(n), 2);
	}
	return Buffer.concat([head, key, data.map((b, i) => b ^ key[i & 3])]);
}

function unframe(buf) {
	if (buf.length < 2)
		return null;
	let n = buf[1];
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
	if (buf.length < at + n)
		return null;
	return { opcode: buf[0] & 15, data: buf.subarray(at, at + n), rest: buf.subarray(at + n) };
}

function websocket(n) {
	return new Promise((resolve) => {
		const key = crypto.randomBytes(16).toString('base64');
		const messages = [[1, sample(5)], [2, sample(70000)], [9, sample(20)], [2, sample(1 << 20)], [8, Buffer.from([3, 232])]];
		const done = (why) => resolve(why);
		const req = http.get({ port, host: '127.0.0.1', path: '/ws', agent: false, headers: { Upgrade: 'websocket',
			Connection: 'Upgrade', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': 13 } });
		req.on('response', (res) => done(`status ${res.statusCode}`));
		req.on('error', (e) => done(e.message));
		req.on('upgrade', (res, socket, first) => {
			const sum = crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
			let buf = first;
			let at = 0;
			let bad = res.headers['sec-websocket-accept'] === sum ? '' : 'wrong accept';
			socket.on('error', (e) => done(e.message));
			socket.on('data', (d) => {
				buf = Buffer.concat([buf, d]);
				for (let f = unframe(buf); f; f = unframe(buf)) {
					const [opcode, data] = messages[at++];
					buf = f.rest;
					if (f.opcode !== (opcode === 9 ? 10 : opcode) || !f.data.equals(data))
						bad ||= `message ${at} differs`;
					if (at < messages.length)
						socket.write(masked(...messages[at]));
				}
			});
			socket.on('end', () => {
				socket.end();
				done(bad || (at === messages.length ? '' : `ended after ${at} messages`));
			});
			socket.write(masked(...messages[0]));
		});
	});
}

async function websockets() {
	const got = await Promise.all(Array.from({ length: 10 }, (_, i) => websocket(i)));
	check(got.every((g) => g === ''), '10 WebSockets', got.join(', '));
}

async function main() {
	await parallel();
	await uploads();
	await duplex();
	await features();
	await events();
	await websockets();
	agent.destroy();
	process.exitCode = failed ? 1 : 0;
}

main().catch((e) => {
	console.log(`not ok no exception: ${e.stack}`);
	process.exit(1);
});
