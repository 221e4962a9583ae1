// SPDX-License-Identifier: MIT
// For tests with device identities: a daemon of its own, Ed25519 keys, a small
// WebSocket client that sends what it is told to, and the counting of checks.
// Nothing but Node.js (18 or later) is needed.
import { spawn } from "node:child_process";
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes,
	randomUUID, sign } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import assert from "node:assert/strict";

export { assert };

const BUILD = process.env.CHELA_BUILD, SOURCE = process.env.CHELA_SOURCE;
export const DEADLINE_MS = 60_000;	// a sanitized build on a busy machine

let passed = 0, failed = 0;
const cleanups = [];

export async function check(name, fn) {
	try {
		await fn();
		console.log(`ok ${++passed + failed} - ${name}`);
	} catch (e) {
		console.log(`not ok ${passed + ++failed} - ${name}`);
		console.log(String(e?.stack ?? e).split("\n").slice(0, 14)
			.map((l) => `  # ${l}`).join("\n"));
	}
}

export function atEnd(fn) {
	cleanups.push(fn);
}

export async function finish() {
	for (const fn of cleanups.reverse()) {
		try {
			await fn();
		} catch (e) {
			failed++;
			console.log(`not ok - at the end: ${e?.stack ?? e}`);
		}
	}
	console.log(`# ${passed} passed, ${failed} failed`);
	process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

export function within(promise, what, ms = DEADLINE_MS) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)),
			ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* ---------------------------------------------------------------- daemon */

export class Gateway {
	constructor({ config = {}, env = {}, token = "t-" + randomUUID(), dir,
		args = [], checks = true } = {}) {
		this.config = config;
		this.env = env;
		this.token = token;
		// checks: every answer is held to its schema.
		this.args = checks ? ["--check-results", ...args] : args;
		this.dir = dir ?? fs.mkdtempSync(path.join(os.tmpdir(), "chela-"));
		if (!dir)
			atEnd(() => fs.rmSync(this.dir, { recursive: true, force: true }));
		this.stateDir = path.join(this.dir, "state");
		this.configFile = path.join(this.dir, "chela.json");
		this.log = "";
	}

	writeConfig(config) {
		fs.writeFileSync(this.configFile, JSON.stringify(config),
			{ mode: 0o600 });
	}

	async start() {
		fs.mkdirSync(this.stateDir, { recursive: true, mode: 0o700 });
		this.writeConfig(this.config);
		const env = { PATH: process.env.PATH, HOME: this.dir, ...this.env };
		for (const name of ["ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"])
			if (process.env[name])
				env[name] = process.env[name];
		if (this.token)
			env.CHELA_TOKEN = this.token;
		this.child = spawn(`${BUILD}/core/daemon/chelad`, ["--config",
			this.configFile, "--state-dir", this.stateDir, "--port", "0",
			"--schema-dir", `${SOURCE}/schemas`, "--plugin-dir",
			`${BUILD}/plugins`, ...this.args],
			{ env, stdio: ["ignore", "ignore", "pipe"] });
		this.exited = new Promise((done) => this.child.on("exit",
			(code, signal) => { this.exit = { code, signal }; done(this.exit); }));
		this.child.stderr.setEncoding("utf8");
		const m = await within(new Promise((ok, no) => {
			this.child.stderr.on("data", (d) => {
				this.log += d;
				const hit = /listening on wss?:\/\/(\S+):(\d+)/.exec(this.log);
				if (hit)
					ok(hit);
			});
			this.exited.then((x) => no(new Error(
				`chelad ended ${JSON.stringify(x)}\n${this.log.slice(-1500)}`)));
		}), "ready line");
		this.port = Number(m[2]);
		atEnd(() => this.stop());
		return this;
	}

	logged(re) {
		return within(new Promise((ok) => {
			const look = () => {
				const m = re.exec(this.log);
				if (m)
					ok(m);
			};
			look();
			this.child.stderr.on("data", look);
		}), `log line ${re}`);
	}

	async stop() {
		if (!this.child || this.exit)
			return;
		this.child.kill("SIGTERM");
		const x = await within(this.exited, "end after SIGTERM");
		if (x.code !== 0)
			throw new Error(`chelad: ${JSON.stringify(x)}\n${this.log.slice(-3000)}`);
	}
}

/* ---------------------------------------------------------------- device */

export class Device {
	constructor() {
		const { publicKey, privateKey } = generateKeyPairSync("ed25519");
		this.key = privateKey;
		this.raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
		this.pem = publicKey.export({ type: "spki", format: "pem" });
		this.publicKey = this.raw.toString("base64url");
		this.id = createHash("sha256").update(this.raw).digest("hex");
	}

	// What connect's params prove; over changes what is sent, not what is signed.
	prove(params, challenge, { version = 3, signedAt = challenge.ts,
		nonce = challenge.nonce, signed = {}, over = {} } = {}) {
		const a = params.auth ?? {}, c = params.client;
		const fields = [`v${version}`, this.id, c.id, c.mode,
			params.role ?? "operator", (params.scopes ?? []).join(","), signedAt,
			a.token ?? a.deviceToken ?? a.bootstrapToken ?? "", nonce];
		if (version === 3)
			fields.push((c.platform ?? "").trim().toLowerCase(),
				(c.deviceFamily ?? "").trim().toLowerCase());
		if (version === 1)
			fields.pop();
		for (const [i, v] of Object.entries(signed))
			fields[i] = v;
		params.device = { id: this.id, publicKey: this.publicKey, signedAt, nonce,
			signature: sign(null, Buffer.from(fields.join("|")), this.key)
				.toString("base64url"), ...over };
		return params;
	}
}

/* ------------------------------------------------------------- WebSocket */

export class Client {
	constructor(gw, { headers = {}, port, host = "127.0.0.1",
		localAddress } = {}) {
		this.events = [];
		this.answers = new Map();
		this.watchers = new Set();
		this.buffer = Buffer.alloc(0);
		this.n = 0;
		this.closed = new Promise((done) => { this.onClosed = done; });
		this.opened = new Promise((ok, no) => {
			const req = http.request({ host, port: port ?? gw.port, localAddress,
				headers: { Connection: "Upgrade", Upgrade: "websocket",
					"Sec-WebSocket-Version": "13",
					"Sec-WebSocket-Key": randomBytes(16).toString("base64"),
					...headers } });
			req.on("response", (res) => {
				let body = "";
				res.on("data", (d) => { body += d; });
				res.on("end", () => no(Object.assign(
					new Error(`HTTP ${res.statusCode}`),
					{ status: res.statusCode, body })));
			});
			req.on("error", no);
			req.on("upgrade", (_, socket, rest) => {
				this.socket = socket;
				socket.on("data", (d) => this.feed(d));
				socket.on("error", () => {});
				socket.on("close", () => this.onClosed(this.close ??
					{ code: 1006, reason: "" }));
				ok(this);
				this.feed(rest);
			});
			req.end();
		});
		this.opened.catch(() => {});
	}

	feed(data) {
		this.buffer = Buffer.concat([this.buffer, data]);
		for (;;) {
			const b = this.buffer;
			if (b.length < 2)
				return;
			let len = b[1] & 127, at = 2;
			if (len === 126) {
				if (b.length < 4)
					return;
				len = b.readUInt16BE(2);
				at = 4;
			} else if (len === 127) {
				if (b.length < 10)
					return;
				len = Number(b.readBigUInt64BE(2));
				at = 10;
			}
			if (b.length < at + len)
				return;
			const body = b.subarray(at, at + len), op = b[0] & 15;
			this.buffer = b.subarray(at + len);
			if (op === 8) {
				this.close = { code: len >= 2 ? body.readUInt16BE(0) : 1005,
					reason: body.subarray(2).toString() };
				this.frame(8, body.subarray(0, 2));
				this.socket.end();
			} else if (op === 9)
				this.frame(10, body);
			else if (op === 1)
				this.message(JSON.parse(body.toString()));
		}
	}

	message(m) {
		if (m.type === "event")
			this.events.push(m);
		else
			this.answers.set(m.id, m);
		for (const w of this.watchers)
			w(m);
	}

	frame(op, body) {
		const mask = randomBytes(4), len = body.length;
		const head = len < 126 ? Buffer.from([0x80 | op, 0x80 | len]) :
			len < 65536 ? Buffer.from([0x80 | op, 0xfe, len >> 8, len & 255]) :
			Buffer.concat([Buffer.from([0x80 | op, 0xff]), (() => {
				const n = Buffer.alloc(8);
				n.writeBigUInt64BE(BigInt(len));
				return n;
			})()]);
		this.socket.write(Buffer.concat([head, mask,
			Buffer.from(body.map((v, i) => v ^ mask[i & 3]))]));
	}

	send(m) {
		this.frame(1, Buffer.from(JSON.stringify(m)));
	}

	// The next that fits, or one that has come already.
	seen(list, test, what) {
		const old = list.find(test);
		if (old)
			return Promise.resolve(old);
		return within(new Promise((ok, no) => {
			const w = (m) => {
				if (test(m)) {
					this.watchers.delete(w);
					ok(m);
				}
			};
			this.watchers.add(w);
			this.closed.then((c) => no(new Error(
				`closed ${c.code} '${c.reason}' before ${what}`)));
		}), what);
	}

	event(name, test = () => true) {
		return this.seen(this.events, (m) => m.type === "event" &&
			m.event === name && test(m.payload), `event ${name}`)
			.then((m) => m.payload);
	}

	async request(method, params) {
		const id = `r${++this.n}`;
		this.send({ type: "req", id, method, params });
		return this.seen([], (m) => m.id === id, `answer to ${method}`);
	}

	// The payload, or an error that holds the whole answer.
	async call(method, params = {}) {
		const r = await this.request(method, params);
		if (!r.ok)
			throw Object.assign(new Error(`${method}: ${r.error.message}`),
				{ error: r.error });
		return r.payload;
	}

	end() {
		this.socket?.destroy();
	}
}

/* --------------------------------------------------------------- connect */

export function params({ token, client = {}, role, scopes = ["operator.admin"],
	auth, ...rest } = {}) {
	return { minProtocol: 4, maxProtocol: 4,
		client: { id: "test", mode: "test", version: "1", platform: "linux",
			...client },
		...(role ? { role } : {}), scopes,
		auth: auth ?? (token ? { token } : {}), ...rest };
}

// Opens, proves, sends connect. Gives {c, res}; the socket is open when res.ok.
export async function enter(gw, { device, proof, headers, port, localAddress,
	host, ...rest } = {}) {
	const c = new Client(gw, { headers, port, localAddress, host });
	await within(c.opened, "upgrade");
	const challenge = await c.event("connect.challenge");
	const p = params({ ...(rest.auth || rest.token !== undefined ? {} :
		{ token: gw.token }), ...rest });
	if (device)
		device.prove(p, challenge, proof);
	const res = await c.request("connect", p);
	return { c, res, challenge };
}

export async function refused(gw, opts) {
	const { c, res } = await enter(gw, opts);
	assert.equal(res.ok, false, JSON.stringify(res.payload?.auth));
	const close = await within(c.closed, "close");
	return { error: res.error, details: res.error.details ?? {}, close };
}

export async function entered(gw, opts) {
	const { c, res } = await enter(gw, opts);
	assert.equal(res.ok, true, JSON.stringify(res.error));
	atEnd(() => c.end());
	return { c, auth: res.payload.auth, hello: res.payload };
}

// The deviceless client on this machine that keeps its scopes.
export function operator(gw, scopes = ["operator.admin"], over = {}) {
	return entered(gw, { scopes,
		client: { id: "gateway-client", mode: "backend" }, ...over });
}

// From an address that is not this machine's loopback, as a proxy says it.
export const FAR = "198.51.100.7";
export function far(ip = FAR) {
	return { "X-Forwarded-For": ip };
}
export const FAR_CONFIG = { gateway: { trustedProxies: ["127.0.0.1"] } };
