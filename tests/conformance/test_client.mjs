// SPDX-License-Identifier: MIT
// The official client library, unchanged, against chelad: what a program that
// is written to it sees.
import { GatewayClient } from "@openclaw/gateway-client";
import { randomUUID } from "node:crypto";
import { Gateway, ModelServer, assert, atEnd, check, finish,
	within } from "./lib.mjs";

const model = await new ModelServer().start();
const gw = await new Gateway({ config: model.config() }).start();

// A client and what its callbacks got.
function client(over = {}) {
	const seen = { events: [], errors: [], closes: [], gaps: [] };
	const hello = Promise.withResolvers ? Promise.withResolvers() : (() => {
		const r = {};
		r.promise = new Promise((a, b) => { r.resolve = a; r.reject = b; });
		return r;
	})();
	const watchers = new Set();
	const c = new GatewayClient({
		url: gw.url, token: gw.token,
		onHelloOk: (h) => hello.resolve(h),
		onConnectError: (e) => { seen.errors.push(e); hello.reject(e); },
		onClose: (code, reason) => seen.closes.push({ code, reason }),
		onGap: (g) => seen.gaps.push(g),
		onEvent: (e) => {
			seen.events.push(e);
			for (const w of watchers)
				w(e);
		},
		...over,
	});
	hello.promise.catch(() => {});
	seen.event = (name, test = () => true) => {
		const is = (e) => e.event === name && test(e.payload);
		const old = seen.events.find(is);
		if (old)
			return Promise.resolve(old);
		return within(new Promise((resolve) =>
			watchers.add((e) => is(e) && resolve(e))), `event ${name}`);
	};
	atEnd(() => c.stop());
	c.start();
	return { c, seen, hello: within(hello.promise, "hello") };
}

const a = client();

await check("official client connects and gets hello-ok", async () => {
	const h = await a.hello;
	assert.equal(h.type, "hello-ok");
	assert.equal(h.protocol, 4);
	assert.ok(h.features.methods.includes("chat.send"));
	assert.ok(h.features.events.includes("chat"));
	assert.equal(h.auth.role, "operator");
	assert.deepEqual(h.auth.scopes, ["operator.admin"]);
	assert.equal(h.policy.tickIntervalMs, 30000);
});

await check("official client: health", async () => {
	const h = await a.c.request("health", {});
	assert.equal(h.ok, true);
	assert.ok(Array.isArray(h.agents));
});

await check("official client: sessions.list", async () => {
	const s = await a.c.request("sessions.list", {});
	assert.ok(Array.isArray(s.sessions));
	assert.equal(typeof s.defaults, "object");
});

await check("official client: config.get hides the provider's key", async () => {
	const s = await a.c.request("config.get", {});
	assert.equal(typeof s.hash, "string");
	assert.ok(!JSON.stringify(s).includes("k-scripted"));
	assert.equal(s.config.models.providers.scripted.apiKey,
		"__OPENCLAW_REDACTED__");
});

await check("official client: chat.send streams deltas and ends with final", async () => {
	await a.c.request("sessions.messages.subscribe", { key: "main" });
	const key = randomUUID();
	const r = await a.c.request("chat.send", { sessionKey: "main",
		message: "say: one two three four", idempotencyKey: key });
	assert.equal(r.runId, key);
	assert.equal(r.status, "started");
	const final = await a.seen.event("chat",
		(p) => p.runId === key && p.state === "final");
	assert.equal(final.payload.sessionKey, "agent:main:main");
	assert.equal(final.payload.message.content[0].text, "one two three four");
	const deltas = a.seen.events.filter((e) => e.event === "chat" &&
		e.payload.runId === key && e.payload.state === "delta");
	assert.ok(deltas.length >= 1, "no delta");
	const text = deltas.reduce((t, e) => e.payload.replace ?
		e.payload.deltaText : t + e.payload.deltaText, "");
	assert.equal(text, "one two three four");
});

await check("official client: chat.history has both sides of the turn", async () => {
	const h = await a.c.request("chat.history", { sessionKey: "main" });
	const roles = h.messages.map((m) => m.role);
	assert.deepEqual(roles.slice(-2), ["user", "assistant"]);
	const last = h.messages.at(-1).content;
	const text = typeof last === "string" ? last : last.map((p) => p.text).join("");
	assert.equal(text, "one two three four");
});

await check("official client: a repeated idempotencyKey runs once", async () => {
	const key = randomUUID();
	const before = model.requests.length;
	const p = { sessionKey: "main", message: "say: once", idempotencyKey: key };
	await a.c.request("chat.send", p);
	const second = await a.c.request("chat.send", p);
	assert.equal(second.runId, key);
	await a.seen.event("chat", (x) => x.runId === key && x.state === "final");
	assert.equal(model.requests.length, before + 1);
});

await check("official client: chat.abort ends a running answer", async () => {
	const key = randomUUID();
	await a.c.request("chat.send", { sessionKey: "main",
		message: "hold: begun and", idempotencyKey: key });
	await a.seen.event("chat", (p) => p.runId === key && p.state === "delta");
	const r = await a.c.request("chat.abort", { sessionKey: "main", runId: key });
	assert.equal(r.aborted, true);
	assert.deepEqual(r.runIds, [key]);
	const end = await a.seen.event("chat",
		(p) => p.runId === key && p.state === "aborted");
	assert.equal(end.payload.stopReason, "rpc");
});

await check("official client: a failing endpoint ends in state error", async () => {
	const key = randomUUID();
	await a.c.request("chat.send", { sessionKey: "main",
		message: "status: 400", idempotencyKey: key });
	const end = await a.seen.event("chat", (p) => p.runId === key &&
		(p.state === "error" || p.state === "final"));
	assert.equal(end.payload.state, "error");
	assert.ok(end.payload.errorMessage.length > 0);
});

await check("official client: unknown method", async () => {
	await assert.rejects(a.c.request("no.such.method", {}), (e) => {
		assert.equal(e.gatewayCode, "INVALID_REQUEST");
		assert.equal(e.message, "unknown method: no.such.method");
		return true;
	});
});

await check("official client: bad params name the method and the member", async () => {
	await assert.rejects(a.c.request("chat.send", { sessionKey: "main" }), (e) => {
		assert.equal(e.gatewayCode, "INVALID_REQUEST");
		assert.match(e.message, /^invalid chat\.send params: /);
		assert.match(e.message, /must have required property 'message'/);
		return true;
	});
});

await check("official client: a missing scope is FORBIDDEN with details", async () => {
	const b = client({ scopes: ["operator.read"] });
	await b.hello;
	await assert.rejects(b.c.request("chat.send", { sessionKey: "main",
		message: "say: no", idempotencyKey: randomUUID() }), (e) => {
		assert.equal(e.gatewayCode, "FORBIDDEN");
		assert.equal(e.message, "missing scope: operator.write");
		assert.equal(e.details.code, "MISSING_SCOPE");
		assert.equal(e.details.missingScope, "operator.write");
		return true;
	});
	b.c.stop();
});

await check("official client: a wrong token is refused and not retried", async () => {
	const b = client({ token: "wrong" });
	await assert.rejects(b.hello, (e) => {
		assert.equal(e.details?.code, "AUTH_TOKEN_MISMATCH");
		return true;
	});
	b.c.stop();
});

await check("official client: protocol 5 alone is a protocol mismatch", async () => {
	const b = client({ minProtocol: 5, maxProtocol: 5 });
	await assert.rejects(b.hello, (e) => {
		assert.match(e.message, /^protocol mismatch/);
		assert.equal(e.details.code, "PROTOCOL_MISMATCH");
		assert.equal(e.details.expectedProtocol, 4);
		return true;
	});
	b.c.stop();
});

await check("official client: no gap in the numbers of the events", () => {
	assert.deepEqual(a.seen.gaps, []);
	const seqs = a.seen.events.map((e) => e.seq).filter((s) => s !== undefined);
	for (let i = 1; i < seqs.length; i++)
		assert.equal(seqs[i], seqs[i - 1] + 1);
	assert.ok(seqs.length > 5);
});

await check("official client: a stopping gateway says so and closes 1012", async () => {
	await gw.stop();
	const e = await a.seen.event("shutdown");
	assert.equal(e.payload.reason, "gateway stopping");
});

await finish();
