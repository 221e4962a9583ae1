// SPDX-License-Identifier: MIT
// What the conformance scripts share: a gateway under test, a model endpoint
// that follows a script, a raw client, and the counting of checks.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { randomUUID } from "node:crypto";
import assert from "node:assert/strict";
import WebSocket from "ws";

export { assert };

export const BUILD = process.env.CHELA_BUILD;
export const SOURCE = process.env.CHELA_SOURCE;
if (!BUILD || !SOURCE)
	throw new Error("run this through tests/conformance/run");

// A sanitized build on a busy machine is slow; nothing waits this long else.
export const DEADLINE_MS = 30_000;

/* ---------------------------------------------------------------- checks */

let passed = 0;
let failed = 0;
const cleanups = [];

// Runs one named check; its failure is printed and the script goes on.
export async function check(name, fn) {
	const label = name.replaceAll("\n", " ");
	try {
		await fn();
		passed++;
		console.log(`ok ${passed + failed} - ${label}`);
	} catch (e) {
		failed++;
		console.log(`not ok ${passed + failed} - ${label}`);
		const text = String(e?.stack ?? e).split("\n").slice(0, 12);
		console.log(text.map((l) => `  # ${l}`).join("\n"));
	}
}

export function note(text) {
	console.log(`# ${text}`);
}

export function atEnd(fn) {
	cleanups.push(fn);
}

// Ends the script: stops what was started and sets the exit status.
export async function finish() {
	for (const fn of cleanups.reverse()) {
		try {
			await fn();
		} catch (e) {
			failed++;
			console.log(`not ok - at the end: ${e?.message ?? e}`);
		}
	}
	console.log(`# ${passed} passed, ${failed} failed`);
	process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

process.on("unhandledRejection", (e) => {
	failed++;
	console.log(`not ok - unhandled rejection: ${e?.stack ?? e}`);
});

// A promise that gives up, with a sentence that says on what.
export function within(promise, what, ms = DEADLINE_MS) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* --------------------------------------------------------------- gateway */

function chelad() {
	const names = [process.env.CHELAD, `${BUILD}/core/daemon/chelad`,
		`${BUILD}/chelad`];
	const found = names.find((n) => n && fs.existsSync(n));
	if (!found)
		throw new Error(`no chelad in ${BUILD}`);
	return found;
}

export function chela() {
	const names = [process.env.CHELA, `${BUILD}/core/client/chela`,
		`${BUILD}/chela`];
	return names.find((n) => n && fs.existsSync(n));
}

export function tempDir(name = "chela") {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
	atEnd(() => fs.rmSync(dir, { recursive: true, force: true }));
	return dir;
}

// One chelad with a state directory of its own.
export class Gateway {
	constructor(opts = {}) {
		this.opts = opts;
		this.token = opts.token ?? "t-" + randomUUID();
		this.dir = opts.dir ?? tempDir();
		this.stateDir = path.join(this.dir, "state");
		this.configFile = path.join(this.dir, "chela.json");
		this.pluginDirs = opts.pluginDirs ?? [`${BUILD}/plugins`];
		this.port = opts.port ?? 0;
		this.log = "";
	}

	writeConfig(config) {
		fs.writeFileSync(this.configFile, JSON.stringify(config, null, 2),
			{ mode: 0o600 });
	}

	async start() {
		fs.mkdirSync(this.stateDir, { recursive: true, mode: 0o700 });
		if (!fs.existsSync(this.configFile))
			this.writeConfig(this.opts.config ?? {});
		const args = ["--config", this.configFile, "--state-dir",
			this.stateDir, "--port", String(this.port),
			"--schema-dir", `${SOURCE}/schemas`, "--check-results",
			...this.pluginDirs.flatMap((d) => ["--plugin-dir", d]),
			...(this.opts.args ?? [])];
		const env = { ...process.env, HOME: this.dir, ...this.opts.env };
		for (const name of Object.keys(env)) {
			if (/^(CHELA_(CONFIG|STATE_DIR|TOKEN|PASSWORD)|OPENCLAW_.*|OPENAI_.*|ANTHROPIC_.*)$/.test(name) &&
			    !(name in (this.opts.env ?? {})))
				delete env[name];
		}
		if (this.token)
			env.CHELA_TOKEN = this.token;
		this.child = spawn(chelad(), args,
			{ env, stdio: ["ignore", "pipe", "pipe"] });
		this.exited = new Promise((resolve) => this.child.on("exit",
			(code, signal) => { this.exit = { code, signal }; resolve(this.exit); }));
		const ready = new Promise((resolve, reject) => {
			const more = (data) => {
				this.log += data;
				const m = /listening on (wss?):\/\/(\S+):(\d+)/.exec(this.log);
				if (m)
					resolve(m);
			};
			this.child.stderr.setEncoding("utf8").on("data", more);
			this.child.stdout.setEncoding("utf8").on("data", more);
			this.child.on("error", reject);
			this.exited.then((x) => reject(new Error(
				`chelad ended: ${JSON.stringify(x)}\n${this.log.slice(-2000)}`)));
		});
		const m = await within(ready, "ready line");
		this.exited.then((x) => {
			if (this.ending)
				return;
			failed++;
			console.log(`not ok - chelad ended by itself: ${JSON.stringify(x)}`);
			console.log(this.log.slice(-4000).replace(/^/gm, "  # "));
		});
		this.port = Number(m[3]);
		this.pid = this.child.pid;
		this.url = `${m[1]}://${m[2]}:${m[3]}`;
		atEnd(() => this.stop());
		return this;
	}

	// Asks it to end; what a sanitizer found makes the script fail.
	async stop() {
		if (!this.child || this.exit)
			return;
		this.ending = true;
		this.child.kill("SIGTERM");
		const x = await within(this.exited, "end after SIGTERM");
		if (x.code !== 0 && !this.killed)
			throw new Error(`chelad ended with ${JSON.stringify(x)}\n${this.log.slice(-3000)}`);
	}

	async kill() {
		this.ending = this.killed = true;
		this.child.kill("SIGKILL");
		await within(this.exited, "end after SIGKILL");
	}

	// The next line of the log that matches, from where it is now.
	async logged(re, from = 0) {
		const found = () => re.exec(this.log.slice(from));
		if (found())
			return found();
		return within(new Promise((resolve) => {
			this.child.stderr.on("data", () => {
				const m = found();
				if (m)
					resolve(m);
			});
		}), `log line ${re}`);
	}
}

/* ------------------------------------------------------- model endpoint */

// An OpenAI-compatible endpoint whose last user message says what to do:
//	say: WORDS		answers WORDS, word by word
//	hold: WORDS		the same, then keeps the stream open
//	status: N		answers with the HTTP status N
//	cut: WORDS		WORDS, then the connection breaks
export class ModelServer {
	requests = [];
	held = new Set();

	async start() {
		this.server = http.createServer((req, res) => {
			let body = "";
			req.on("data", (d) => { body += d; });
			req.on("end", () => this.answer(req, res, body));
		});
		this.server.listen(0, "127.0.0.1");
		await once(this.server, "listening");
		this.port = this.server.address().port;
		this.baseUrl = `http://127.0.0.1:${this.port}/v1`;
		atEnd(() => this.stop());
		return this;
	}

	stop() {
		for (const res of this.held)
			res.destroy();
		this.server.closeAllConnections();
		this.server.close();
	}

	answer(req, res, body) {
		if (req.method === "GET" && req.url.endsWith("/models")) {
			res.setHeader("content-type", "application/json");
			res.end(JSON.stringify({ object: "list",
				data: [{ id: "parrot", object: "model" }] }));
			return;
		}
		let q;
		try {
			q = JSON.parse(body);
		} catch {
			res.statusCode = 400;
			res.end();
			return;
		}
		this.requests.push({ url: req.url, headers: req.headers, body: q });
		const said = (m) => typeof m.content === "string" ? m.content :
			(m.content ?? []).map((p) => p.text ?? "").join("");
		const asked = q.messages.filter((m) => m.role === "user").map(said);
		const text = asked.at(-1) ?? "";
		const m = asked.map((t) => /\b(say|hold|status|cut): ?(.*)/.exec(t))
			.findLast(Boolean);
		const [verb, rest] = m ? [m[1], m[2]] : ["say", `you said ${text}`];
		if (verb === "status") {
			res.statusCode = Number(rest);
			res.setHeader("content-type", "application/json");
			res.end(JSON.stringify({ error: { message: `asked for ${rest}`,
				type: "scripted" } }));
			return;
		}
		const words = rest.match(/\S+\s*/g) ?? [""];
		const base = { id: "chatcmpl-1", created: 1, model: q.model };
		if (!q.stream) {
			res.setHeader("content-type", "application/json");
			res.end(JSON.stringify({ ...base, object: "chat.completion",
				choices: [{ index: 0, finish_reason: "stop",
					message: { role: "assistant", content: words.join("") } }],
				usage: { prompt_tokens: 11, completion_tokens: words.length,
					total_tokens: 11 + words.length } }));
			return;
		}
		res.setHeader("content-type", "text/event-stream");
		const send = (o) => res.write(`data: ${JSON.stringify({ ...base,
			object: "chat.completion.chunk", ...o })}\n\n`);
		const piece = (delta, finish_reason = null) =>
			send({ choices: [{ index: 0, delta, finish_reason }] });
		piece({ role: "assistant", content: "" });
		for (const w of words)
			piece({ content: w });
		if (verb === "hold") {
			this.held.add(res);
			res.on("close", () => this.held.delete(res));
			return;
		}
		if (verb === "cut") {
			res.write(" ", () => res.destroy());
			return;
		}
		piece({}, "stop");
		send({ choices: [], usage: { prompt_tokens: 11,
			completion_tokens: words.length,
			total_tokens: 11 + words.length } });
		res.end("data: [DONE]\n\n");
	}

	// The part of a configuration that makes chelad use this endpoint.
	config() {
		return {
			models: { providers: { scripted: {
				baseUrl: this.baseUrl, apiKey: "k-scripted",
				api: "openai-completions",
				models: [{ id: "parrot", name: "Parrot", contextWindow: 32000 }],
			} } },
			agents: { defaults: { model: { primary: "scripted/parrot" } } },
		};
	}
}

/* ------------------------------------------------------------ raw client */

export class CallError extends Error {
	constructor(method, error) {
		super(`${method}: ${error?.code}: ${error?.message}`);
		Object.assign(this, { method, code: error?.code,
			text: error?.message, details: error?.details, shape: error });
	}
}

// A client that shows every frame as it is: no retries, no interpretation.
export class Raw {
	events = [];
	frames = [];
	waiting = new Map();
	watchers = new Set();
	next = 1;

	constructor(url, opts = {}) {
		this.url = url;
		this.opts = opts;
	}

	async open() {
		this.ws = new WebSocket(this.url, this.opts.protocols ?? [],
			{ headers: this.opts.headers, perMessageDeflate: false,
				maxPayload: 64 * 1024 * 1024 });
		this.closed = new Promise((resolve) => this.ws.on("close",
			(code, reason) => {
				resolve({ code, reason: reason.toString() });
				for (const w of this.waiting.values())
					w.reject(new Error(`closed ${code} ${reason}`));
			}));
		this.ws.on("message", (data) => this.incoming(JSON.parse(data.toString())));
		this.ws.on("error", () => {});
		atEnd(() => this.ws.terminate());
		await within(once(this.ws, "open"), "open connection");
		return this;
	}

	incoming(f) {
		this.frames.push(f);
		if (f.type === "event")
			this.events.push(f);
		else if (this.waiting.has(f.id)) {
			const w = this.waiting.get(f.id);
			if (w.all) {
				w.got.push(f);
				if (f.payload?.status !== "accepted") {
					this.waiting.delete(f.id);
					w.resolve(w.got);
				}
			} else {
				this.waiting.delete(f.id);
				w.resolve(f);
			}
		}
		for (const w of [...this.watchers])
			w(f);
	}

	// The response frame itself.
	frame(method, params, { all = false } = {}) {
		const id = String(this.next++);
		const p = new Promise((resolve, reject) =>
			this.waiting.set(id, { resolve, reject, all, got: [] }));
		this.ws.send(JSON.stringify({ type: "req", id, method,
			...(params === undefined ? {} : { params }) }));
		return within(p, `answer to ${method}`);
	}

	async call(method, params) {
		const f = await this.frame(method, params);
		if (!f.ok)
			throw new CallError(method, f.error);
		return f.payload;
	}

	// The first event, past or to come, for which test() holds.
	event(name, test = () => true, { from = 0 } = {}) {
		const is = (f) => f.type === "event" && f.event === name && test(f.payload, f);
		const old = this.events.slice(from).find(is);
		if (old)
			return Promise.resolve(old);
		let watch;
		return within(new Promise((resolve, reject) => {
			watch = (f) => is(f) && resolve(f);
			this.watchers.add(watch);
			// What a closed connection has not said it will not say.
			this.closed.then(({ code }) => reject(
				new Error(`closed ${code} before event ${name}`)));
		}), `event ${name}`).finally(() => this.watchers.delete(watch));
	}

	async connect(params = {}) {
		this.challenge = await this.event("connect.challenge");
		this.hello = await this.call("connect", connectParams(params));
		return this;
	}

	close() {
		this.ws.close();
		return within(this.closed, "close");
	}
}

export function connectParams({ token, ...over } = {}) {
	return {
		minProtocol: 4, maxProtocol: 4,
		client: { id: "cli", version: "1.0.0", platform: "linux", mode: "cli" },
		caps: [], role: "operator", scopes: ["operator.admin"],
		...(token ? { auth: { token } } : {}),
		...over,
	};
}

// An operator's connection to a gateway, all scopes.
export async function operator(gw, over = {}) {
	const raw = new Raw(gw.url, over.raw);
	await raw.open();
	const { raw: _, ...params } = over;
	return raw.connect({ token: gw.token, ...params });
}
