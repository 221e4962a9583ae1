// SPDX-License-Identifier: MIT
// A node that asked for a session's chat gets it, without numbers; others do not.
import { Device, Gateway, assert, check, entered, finish, operator } from
	"./device.mjs";

const gw = await new Gateway().start();
const ops = (await operator(gw)).c;

// A node whose commands an operator has approved.
async function node(approve = true) {
	const device = new Device();
	const { c } = await entered(gw, { device, role: "node", scopes: [],
		client: { id: "node-host", mode: "node" },
		commands: ["system.which"], caps: ["system"] });
	if (approve) {
		const list = await ops.call("node.pair.list");
		const { requestId } = list.pending.find((r) => r.nodeId === device.id);
		await ops.call("node.pair.approve", { requestId });
	}
	return c;
}

const tell = (c, event, payload) => c.call("node.event",
	{ event, payloadJSON: JSON.stringify(payload) });

// A turn of the model that needs no network; until it is over for operators.
let turns = 0;
async function turn(sessionKey) {
	const idempotencyKey = `turn-${++turns}`;
	await ops.call("chat.send", { sessionKey, message: "/help",
		idempotencyKey });
	await ops.event("chat", (p) => p.runId === idempotencyKey &&
		p.state === "final");
	return idempotencyKey;
}

// What a connection has got of a run, once it answered something later.
async function got(c, runId) {
	await c.call("health");
	return c.events.filter((e) => ["chat", "agent"].includes(e.event) &&
		e.payload.runId === runId);
}

await check("a node hears the session that it subscribed to, and no other",
	async () => {
	const hears = await node(), other = await node();
	assert.deepEqual(await tell(hears, "chat.subscribe",
		{ sessionKey: "main" }), { ok: true, event: "chat.subscribe",
		handled: true, reason: "subscribed" });
	const one = await turn("agent:main:main");
	const final = await hears.event("chat", (p) => p.runId === one &&
		p.state === "final");
	assert.equal(final.sessionKey, "agent:main:main");
	const all = await got(hears, one);
	assert.ok(all.length > 0 && all.every((e) => !("seq" in e)));
	assert.deepEqual(await got(other, one), []);
	const two = await turn("agent:main:another");
	assert.deepEqual(await got(hears, two), []);
	assert.equal((await tell(hears, "chat.unsubscribe",
		{ sessionKey: "agent:main:main" })).handled, true);
	assert.deepEqual(await got(hears, await turn("main")), []);
});

await check("AB-066 without approval, or with nonsense, nobody subscribes",
	async () => {
	const stranger = await node(false), c = await node();
	await assert.rejects(tell(stranger, "chat.subscribe",
		{ sessionKey: "main" }), /awaiting operator approval/);
	assert.deepEqual(await got(stranger, await turn("main")), []);
	for (const bad of [{}, { sessionKey: " " }, { sessionKey: 7 }]) {
		const r = await tell(c, "chat.subscribe", bad);
		assert.deepEqual([r.handled, r.reason], [false, "invalid_payload"]);
	}
	let r, n = 0;
	do
		r = await tell(c, "chat.subscribe", { sessionKey: `s${n}` });
	while (r.handled && ++n < 10_000);
	assert.equal(r.reason, "too_many_subscriptions");
});

await finish();
