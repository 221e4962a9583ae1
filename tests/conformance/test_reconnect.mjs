// SPDX-License-Identifier: MIT
// AB-121: a client goes away in the middle of a run and comes back, before the run
// ends or after; another one watches the same session all the time.
import { GatewayClient } from "@openclaw/gateway-client";
import { randomUUID } from "node:crypto";
import { Gateway, ModelServer, assert, atEnd, check, finish, operator, within }
	from "./lib.mjs";

const model = await new ModelServer().start();
const gw = await new Gateway({ config: model.config() }).start();
const key = "agent:main:shared";

// The official client library as the one that stays.
const seen = [];
const gaps = [];
const watchers = new Set();
const stays = new GatewayClient({ url: gw.url, token: gw.token,
	onGap: (g) => gaps.push(g),
	onEvent: (e) => {
		seen.push(e);
		for (const w of watchers)
			w(e);
	},
	onHelloOk: () => hello.resolve() });
const hello = {};
hello.promise = new Promise((r) => { hello.resolve = r; });
atEnd(() => stays.stop());
stays.start();
await within(hello.promise, "hello");
const sees = (test) => within(new Promise((resolve) => {
	const is = (e) => e.event === "chat" && test(e.payload) && resolve(e);
	watchers.add(is);
	seen.forEach(is);
}), "event chat at the one that stays");

const ends = ["final", "aborted", "error"];
const chatOf = (events, run) => events.filter((e) => e.event === "chat" &&
	e.payload.runId === run).map((e) => e.payload);
const textOf = (list) => list.filter((p) => p.state === "delta").reduce((t, p) =>
	p.replace ? p.deltaText : t + p.deltaText, "");

function gapless(events, who) {
	const seqs = events.map((e) => e.seq).filter((s) => s !== undefined);
	for (let i = 1; i < seqs.length; i++)
		assert.equal(seqs[i], seqs[i - 1] + 1, who);
}

// What the endpoint says next in the answers that it keeps open.
function say(...words) {
	for (const res of model.held) {
		for (const content of words)
			res.write(`data: ${JSON.stringify({ id: "chatcmpl-1",
				object: "chat.completion.chunk", created: 1, model: "parrot",
				choices: [{ index: 0, delta: { content },
					finish_reason: null }] })}\n\n`);
	}
}

function stop() {
	for (const res of model.held) {
		res.write(`data: ${JSON.stringify({ id: "chatcmpl-1",
			object: "chat.completion.chunk", created: 1, model: "parrot",
			choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`);
		res.end("data: [DONE]\n\n");
	}
}

async function begin() {
	const client = await operator(gw);
	await client.call("sessions.messages.subscribe", { key });
	const run = randomUUID();
	await client.call("chat.send", { sessionKey: key, message: "hold: one two ",
		idempotencyKey: run });
	await client.event("chat", (p) => p.runId === run && p.state === "delta");
	return { client, run };
}

// Both sides of the turn, once, and nothing of it a second time.
async function inHistory(client, run, text) {
	const h = await client.call("chat.history", { sessionKey: key });
	const rows = h.messages.filter((m) => m.__openclaw.runId === run);
	assert.deepEqual(rows.map((m) => m.role), ["user", "assistant"]);
	assert.equal(rows[1].content[0].text, text);
	assert.equal(h.inFlightRun, undefined);
	return h;
}

async function watched(run, text) {
	await sees((p) => p.runId === run && ends.includes(p.state));
	const list = chatOf(seen, run);
	assert.deepEqual(list.filter((p) => ends.includes(p.state))
		.map((p) => p.state), ["final"]);
	assert.equal(list.at(-1).state, "final");
	assert.equal(textOf(list), text);
	assert.equal(list.at(-1).message.content[0].text, text);
	gapless(seen, "the one that stays");
	assert.deepEqual(gaps, []);
}

await stays.request("sessions.create", { key });
await stays.request("sessions.messages.subscribe", { key });

await check("AB-121 a client that comes back during the run sees the rest", async () => {
	const { client, run } = await begin();
	const before = textOf(chatOf(client.events, run));
	assert.match("one two ", new RegExp(`^${before}`));
	await client.close();
	say("three ");
	await sees((p) => p.runId === run && p.message?.content?.[0]?.text
		?.includes("three"));
	const back = await operator(gw);
	await back.call("sessions.messages.subscribe", { key });
	const h = await back.call("chat.history", { sessionKey: key });
	assert.equal(h.inFlightRun.runId, run);
	assert.equal(h.inFlightRun.text, "one two three ");
	assert.equal(h.sessionInfo.hasActiveRun, true);
	const again = await back.call("chat.send", { sessionKey: key,
		message: "hold: one two ", idempotencyKey: run });
	assert.equal(again.status, "in_flight");
	say("four", " five");
	stop();
	const end = await back.event("chat", (p) => p.runId === run &&
		ends.includes(p.state));
	const whole = "one two three four five";
	assert.equal(end.payload.state, "final");
	assert.equal(end.payload.message.content[0].text, whole);
	const rest = chatOf(back.events, run);
	assert.equal(rest.filter((p) => ends.includes(p.state)).length, 1);
	assert.equal(h.inFlightRun.text + textOf(rest), whole);
	gapless(back.events, "the one that came back");
	await watched(run, whole);
	await inHistory(back, run, whole);
	await back.close();
});

await check("AB-121 a client that comes back after the run finds its end", async () => {
	const { client, run } = await begin();
	client.ws.terminate();		// no close frame: the line broke
	await client.closed;
	say("and on");
	stop();
	await watched(run, "one two and on");
	const back = await operator(gw);
	const h = await inHistory(back, run, "one two and on");
	assert.equal(h.sessionInfo.hasActiveRun, false);
	assert.deepEqual(await back.call("chat.send", { sessionKey: key,
		message: "hold: one two ", idempotencyKey: run }),
	{ runId: run, status: "ok" });
	const w = await back.call("agent.wait", { runId: run, timeoutMs: 0 });
	assert.equal(w.status, "ok");
	await back.close();
});

await check("AB-121 who is back by its cursor gets each row once", async () => {
	const start = await operator(gw);
	const { deltaCursor } = await start.call("chat.history", { sessionKey: key });
	await start.close();
	const { client, run } = await begin();
	await client.close();
	stop();
	await watched(run, "one two ");
	const back = await operator(gw);
	const d = await back.call("chat.history", { sessionKey: key,
		cursor: deltaCursor });
	assert.equal(d.kind, "delta");
	assert.deepEqual(d.messages.map((m) => [m.role, m.__openclaw.runId]),
		[["user", run], ["assistant", run]]);
	const none = await back.call("chat.history", { sessionKey: key,
		cursor: d.deltaCursor });
	assert.deepEqual(none.messages, []);
	await back.close();
});
await finish();
