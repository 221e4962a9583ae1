// SPDX-License-Identifier: MIT
// Every method of the first fifteen groups, called as a client would, its
// answer held against the official definition; then hello, every event that
// came, and every error.
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { Gateway, ModelServer, Raw, assert, check, connectParams, finish,
	operator } from "./lib.mjs";
import { differencesOf, judge, schema, usedDifferences } from "./official.mjs";

const methods = JSON.parse(fs.readFileSync(
	new URL("methods.json", import.meta.url), "utf8"));
const resultOf = new Map(methods.map((m) => [m.method, m.result]));
const model = await new ModelServer().start();
const gw = await new Gateway({ config: model.config() }).start();
const op = await operator(gw, {
	scopes: ["operator.admin", "operator.read", "operator.write",
		"operator.approvals", "operator.pairing", "operator.questions"],
	caps: ["tool-events"],
});
const called = new Set();
const judged = new Set();

function conforms(where, name, value) {
	judged.add(where);
	assert.deepEqual(judge(where, name, value), []);
}

// One call that must succeed; see() looks at what no definition says.
async function answers(method, params, see = () => {}, label = "") {
	let result;
	await check(`${method}${label && " " + label}: answer`, async () => {
		called.add(method);
		result = await op.call(method, params);
		const name = resultOf.get(method);
		if (name)
			conforms(method, name, result);
		await see(result);
	});
	return result;
}

// One call that must fail in a documented way.
async function refuses(method, params, code, text, label = "") {
	await check(`${method}${label && " " + label}: refusal`, async () => {
		called.add(method);
		const f = await op.frame(method, params);
		assert.equal(f.ok, false, JSON.stringify(f).slice(0, 300));
		conforms("error", "ErrorShape", f.error);
		assert.equal(f.error.code, code, f.error.message);
		assert.match(f.error.message, text);
	});
}

const isArray = (...names) => (r) => {
	for (const n of names)
		assert.ok(Array.isArray(r[n]), `${n} is no array`);
};

/* --- hello */

await check("hello-ok: official definition", () =>
	conforms("hello-ok", "HelloOk", op.hello));
await check("hello-ok: lists what is callable and not hidden", () => {
	const hidden = ["connect", "poll", "sessions.get", "sessions.resolve",
		"sessions.steer", "sessions.usage", "sessions.usage.logs",
		"sessions.usage.timeseries", "chat.inject",
		"push.web.vapidPublicKey", "push.web.subscribe",
		"push.web.unsubscribe", "push.web.test", "push.test"];
	const listed = new Set(op.hello.features.methods);
	assert.equal(listed.size, op.hello.features.methods.length, "a name twice");
	for (const { method } of methods)
		assert.equal(listed.has(method), !hidden.includes(method), method);
});
await check("hello-ok: snapshot for an administrator", () => {
	const s = op.hello.snapshot;
	assert.equal(typeof s.configPath, "string");
	assert.equal(typeof s.stateDir, "string");
	assert.equal(s.authMode, "token");
	assert.equal(s.sessionDefaults.mainSessionKey, "agent:main:main");
	assert.ok(s.presence.some((p) => p.reason === "self"));
});
await check("hello-ok: who owns a session, and what a message may bring", () => {
	const d = op.hello.snapshot.sessionDefaults;
	assert.deepEqual([d.ownership, d.selectionRequired], ["sole", false]);
	assert.deepEqual(op.hello.policy.attachments,
		{ maxBytes: 19464192, maxImageBytes: 6291456 });
});
await check("hello-ok: no paths without operator.admin", async () => {
	const reader = await operator(gw, { scopes: ["operator.read"] });
	conforms("hello-ok", "HelloOk", reader.hello);
	for (const k of ["configPath", "stateDir", "authMode"])
		assert.ok(!(k in reader.hello.snapshot), k);
	await reader.close();
});

/* --- health, system, logs */

await answers("health", {}, isArray("agents", "channelOrder"));
await answers("health", { probe: true }, (r) => assert.equal(r.ok, true), "probe");
await answers("status", {}, (r) => assert.equal(typeof r.runtimeVersion, "string"));
await answers("system-presence", {}, (r) => {
	assert.ok(Array.isArray(r));
	for (const p of r)
		conforms("system-presence", "PresenceEntry", p);
	assert.ok(r.some((p) => p.mode === "gateway" && p.reason === "self"));
});
await answers("system-event", { text: "hello there", deviceId: "d-1",
	host: "box", mode: "test" }, (r) => assert.equal(r.ok, true));
await answers("system-presence", {}, (r) =>
	assert.ok(r.some((p) => p.deviceId === "d-1" && p.host === "box")),
	"after system-event");
await refuses("system-event", { text: "" }, "INVALID_REQUEST",
	/^text required$/, "empty");
await answers("last-heartbeat", {}, (r) =>
	assert.ok(r === null || typeof r === "object"));
await answers("set-heartbeats", { enabled: false }, (r) =>
	assert.deepEqual([r.ok, r.enabled], [true, false]));
await refuses("set-heartbeats", {}, "INVALID_REQUEST", /^invalid set-heartbeats params/);
await answers("wake", { mode: "next-heartbeat", text: "look" }, (r) =>
	assert.equal(typeof r.ok, "boolean"));
await answers("system.info", {}, (r) => assert.equal(r.pid, gw.pid));
await answers("logs.tail", { limit: 10 });
await answers("logs.tail", { cursor: 999_999_999 }, (r) =>
	assert.equal(r.reset, true), "beyond the end");

/* --- configuration */

const got = await answers("config.get", {}, isArray("issues"));
await answers("config.schema", {}, (r) => assert.equal(typeof r.schema, "object"));
await answers("config.schema.lookup", { path: "gateway.port" }, (r) =>
	assert.equal(r.path, "gateway.port"));
await refuses("config.schema.lookup", { path: "no.such" }, "INVALID_REQUEST",
	/config schema path not found/);
const change = '{"messages":{"responsePrefix":"p"}}';
await refuses("config.patch", { raw: change }, "INVALID_REQUEST",
	/^config base hash required/, "without base hash");
await refuses("config.patch", { raw: change, baseHash: "other" },
	"INVALID_REQUEST", /^config changed since last load/, "stale");
await refuses("config.patch", { raw: "[]", baseHash: got?.hash },
	"INVALID_REQUEST", /must be an object/, "array");
await answers("config.patch", { baseHash: got?.hash, raw: change }, (r) => {
	assert.equal(r.ok, true);
	assert.ok(r.changedPaths.length > 0);
});
const again = await answers("config.get", {}, () => {}, "after patch");
await answers("config.set", { baseHash: again?.hash, raw: again?.raw }, (r) => {
	assert.equal(r.ok, true);
	assert.ok(fs.readFileSync(gw.configFile, "utf8").includes("k-scripted"),
		"writing the redacted text back lost the key");
}, "with the redacted text");
const third = await answers("config.get", {}, () => {}, "after set");
await answers("config.apply", { baseHash: third?.hash, raw: third?.raw },
	(r) => assert.equal(r.ok, true));
await refuses("config.patch", { raw: '{"nosuchkey":1}',
	baseHash: (await op.call("config.get", {})).hash }, "INVALID_REQUEST",
	/^invalid config/, "unknown key");
await refuses("config.set", { raw: '{"meta":{}}',
	baseHash: (await op.call("config.get", {})).hash }, "INVALID_REQUEST",
	/would drop most of the configuration/, "by accident");

/* --- plugins, commands, models */

await answers("plugins.list", {}, (r) =>
	assert.ok(r.plugins.some((p) => p.id === "chat" && p.enabled)));
await answers("plugins.inspect", { pluginId: "chat" }, (r) =>
	assert.equal(r.plugin.id, "chat"));
await refuses("plugins.inspect", { pluginId: "none" }, "INVALID_REQUEST",
	/Plugin "none" not found/);
await answers("plugins.refresh", {});
await answers("plugins.uiDescriptors", {});
await answers("plugins.setEnabled", { pluginId: "usage", enabled: false });
await check("plugins.setEnabled: the method is gone at once", async () => {
	const f = await op.frame("usage.status", {});
	assert.equal(f.error?.message, "unknown method: usage.status");
});
await answers("plugins.setEnabled", { pluginId: "usage", enabled: true },
	() => {}, "back");
await check("plugins.setEnabled back: the method is there at once", async () => {
	await op.call("usage.status", {});
});
await refuses("plugins.setEnabled", { pluginId: "none", enabled: true },
	"INVALID_REQUEST", /none/, "unknown");
await refuses("plugins.install", { source: "clawhub", packageName: "x" },
	"UNAVAILABLE", /./);
await refuses("plugins.uninstall", { pluginId: "chat" }, "INVALID_REQUEST",
	/^bundled plugin cannot be uninstalled: chat/);
await refuses("plugins.sessionAction", { pluginId: "p", actionId: "a" },
	"UNAVAILABLE", /^unknown plugin session action: p\/a/);
await answers("plugins.catalog.browse", { query: "CHAT" }, (r) => {
	const own = r.items.find((i) => i.local.pluginId === "chat");
	assert.deepEqual([own.local.state, own.local.action], ["enabled", "manage"]);
	assert.ok(!r.items.some((i) => i.local.pluginId === "usage"));
	assert.equal(typeof r.remoteError, "string");
});
await refuses("plugins.catalog.browse", { limit: 1 }, "INVALID_REQUEST",
	/unexpected property 'limit'/);
await answers("commands.list", {}, (r) =>
	assert.ok(r.commands.some((c) => c.name === "help")));
await refuses("commands.list", { agentId: "nobody" }, "INVALID_REQUEST",
	/unknown agent id "nobody"/);
await answers("models.list", { view: "default", includeDetails: undefined }, (r) =>
	assert.ok(r.models.some((m) => m.id === "parrot" &&
		m.provider === "scripted")));
await answers("models.authStatus", {}, isArray("providers"));
await check("models.authStatus of no agent: details name it", async () => {
	const f = await op.frame("models.authStatus", { agentId: "nobody" });
	assert.deepEqual(f.error.details,
		{ code: "UNKNOWN_AGENT_ID", agentId: "nobody" });
});
await answers("models.probe", { provider: "scripted" }, (r) =>
	assert.equal(r.status, "ok"));

/* --- agents */

await answers("agents.list", {}, (r) => {
	assert.equal(r.defaultId, "main");
	assert.equal(r.agents[0].model.primary, "scripted/parrot");
});
await answers("agents.create", { name: "Ops Bot",
	workspace: `${gw.dir}/ops` }, (r) => assert.equal(r.agentId, "ops-bot"));
await refuses("agents.create", { name: "Ops Bot", workspace: `${gw.dir}/ops` },
	"INVALID_REQUEST", /already exists/, "twice");
await answers("agents.update", { agentId: "ops-bot", name: "Ops" });
await refuses("agents.update", { agentId: "nobody", name: "x" },
	"INVALID_REQUEST", /not found/);
await answers("agents.files.list", { agentId: "ops-bot" });
await answers("agents.files.set", { agentId: "ops-bot", name: "AGENTS.md",
	content: "be kind\n" });
await answers("agents.files.get", { agentId: "ops-bot", name: "AGENTS.md" },
	(r) => assert.equal(r.file.content, "be kind\n"));
await refuses("agents.files.get", { agentId: "ops-bot", name: "../x" },
	"INVALID_REQUEST", /unsupported file/);
await refuses("agents.files.set", { agentId: "ops-bot", name: "evil.txt",
	content: "" }, "INVALID_REQUEST", /unsupported file/);
await answers("agents.delete", { agentId: "ops-bot", deleteFiles: true });
await answers("agent.identity.get", {}, (r) =>
	assert.deepEqual([r.agentId, r.avatar], ["main", "A"]));
await answers("agent.identity.get", { agentId: "Nobody" }, (r) =>
	assert.deepEqual([r.agentId, r.name, r.nameSource],
		["nobody", "Assistant", "default"]), "of no agent");
await refuses("agent.identity.get", { agentId: "main",
	sessionKey: "agent:other:main" }, "INVALID_REQUEST",
	/^agent "main" does not match session key agent "other"$/);

/* --- sessions */

await answers("sessions.subscribe", {}, (r) => assert.equal(r.subscribed, true));
await answers("sessions.create", { label: "A plan" }, (r) =>
	assert.match(r.key, /^agent:main:/));
const other = await answers("sessions.create", { key: "agent:main:other" }, (r) =>
	assert.equal(r.key, "agent:main:other"), "with key");
await answers("sessions.messages.subscribe", { key: "main" }, (r) =>
	assert.deepEqual([r.subscribed, r.key], [true, "agent:main:main"]));
await answers("sessions.patch", { key: "agent:main:other", label: "Other" },
	(r) => assert.equal(r.entry.label, "Other"));
await refuses("sessions.patch", { key: "main", label: "Other" },
	"INVALID_REQUEST", /^label already in use: Other/);
await answers("sessions.resolve", { label: "Other" }, (r) =>
	assert.equal(r.key, "agent:main:other"));
await refuses("sessions.resolve", { key: "agent:main:nowhere" },
	"INVALID_REQUEST", /^No session found: /);

/* --- a turn, and what can be asked of it */

const run = randomUUID();
const started = await answers("chat.send", { sessionKey: "main",
	message: "say: the quick brown fox", idempotencyKey: run }, (r) =>
	assert.deepEqual([r.runId, r.status], [run, "started"]));
const ended = (id, ...states) => op.event("chat", (p) => p.runId === id &&
	states.includes(p.state));
await check("chat.send: ends with state final", async () => {
	const e = await ended(run, "final", "error", "aborted");
	assert.equal(e.payload.state, "final", e.payload.errorMessage);
});
await answers("chat.send", { sessionKey: "main",
	message: "say: the quick brown fox", idempotencyKey: run }, (r) =>
	assert.deepEqual([r.runId, r.status], [run, "ok"]), "repeated");
await refuses("chat.send", { sessionKey: "main", message: "  ",
	idempotencyKey: randomUUID() }, "INVALID_REQUEST",
	/message or attachment required/, "empty");
const history = await answers("chat.history", { sessionKey: "main" }, (r) => {
	isArray("messages")(r);
	const [user, last] = r.messages.slice(-2);
	assert.equal(user.content, "say: the quick brown fox");
	assert.deepEqual(last.content,
		[{ type: "text", text: "the quick brown fox" }]);
	for (const m of [user, last]) {
		assert.equal(m.__openclaw.transcriptPosition.source, r.sessionId);
		assert.equal(typeof m.__openclaw.transcriptPosition.rawSeq, "number");
	}
	assert.equal(typeof r.sessionInfo.activeLeafEntryId, "string");
});
await answers("chat.history", { sessionKey: "main", maxChars: 3 }, (r) => {
	const [user, last] = r.messages.slice(-2);
	assert.deepEqual([user.content, last.content[0].text], ["say", "the"]);
	for (const m of [user, last])
		assert.deepEqual([m.__openclaw.truncated, m.__openclaw.reason],
			[true, "display-cap"]);
}, "cut");
await answers("chat.history", { sessionKey: "agent:main:nobody-was-here" },
	(r) => assert.deepEqual([r.messages, r.sessionInfo.key,
		r.sessionInfo.hasActiveRun, r.sessionInfo.activeLeafEntryId],
	[[], "agent:main:nobody-was-here", false, null]), "of no session");
await answers("chat.startup", { sessionKey: "main" }, isArray("messages"));
await answers("chat.history", { sessionKey: "main",
	cursor: history?.deltaCursor, limit: 80, maxBytes: undefined },
	(r) => {
		conforms("chat.history", "ChatHistoryCursorResult", r);
		assert.equal(r.kind, "delta");
	}, "by cursor");
await answers("chat.metadata", {}, isArray("models", "commands"));
const messageId = history?.messages.at(-1).__openclaw?.id;
await answers("chat.message.get", { sessionKey: "main",
	messageId: messageId ?? "?" }, (r) => assert.equal(r.ok, true));
await answers("chat.message.get", { sessionKey: "main", messageId: "none" },
	(r) => assert.deepEqual([r.ok, r.unavailableReason], [false, "not_found"]),
	"unknown");
await answers("chat.inject", { sessionKey: "main", message: "a note",
	label: "Note" }, (r) => assert.equal(typeof r.messageId, "string"));
const held = randomUUID();
await answers("chat.send", { sessionKey: "main", message: "hold: one two",
	idempotencyKey: held }, () => {}, "held");
await check("chat.send held: streams", () => ended(held, "delta"));
await answers("chat.send", { sessionKey: "main", message: "hold: one two",
	idempotencyKey: held }, (r) => assert.equal(r.status, "in_flight"),
	"held, repeated");
await answers("chat.abort", { sessionKey: "main", runId: held }, (r) =>
	assert.deepEqual(r, { ok: true, aborted: true, runIds: [held] }));
await check("chat.abort: ends with state aborted", () => ended(held, "aborted"));
await answers("chat.abort", { sessionKey: "main" }, (r) =>
	assert.deepEqual([r.aborted, r.runIds], [false, []]), "of nothing");
const broken = randomUUID();
await answers("chat.send", { sessionKey: "main", message: "status: 401",
	idempotencyKey: broken }, () => {}, "to a refusing endpoint");
await check("chat.send to a refusing endpoint: ends with state error", () =>
	ended(broken, "error"));

await check("agent: accepted, then the final answer under the same id", async () => {
	called.add("agent");
	const id = randomUUID();
	const two = await op.frame("agent", { message: "say: by agent",
		agentId: "main", idempotencyKey: id }, { all: true });
	assert.equal(two.length, 2);
	assert.deepEqual([two[0].ok, two[0].payload.status, two[0].payload.runId],
		[true, "accepted", id]);
	assert.equal(two[0].payload.agentId, "main");
	assert.deepEqual([two[1].ok, two[1].payload.status], [true, "ok"]);
	assert.equal(two[1].payload.result.payloads[0].text, "by agent");
	const w = await op.call("agent.wait", { runId: id, timeoutMs: 0 });
	assert.equal(w.status, "ok");
});
await answers("agent.wait", { runId: "never", timeoutMs: 0 }, (r) =>
	assert.deepEqual([r.runId, r.status], ["never", "timeout"]));
await refuses("agent", { message: "x", agentId: "nobody",
	idempotencyKey: randomUUID() }, "INVALID_REQUEST",
	/^invalid agent params: unknown agent id "nobody"/);

const sent = randomUUID();
await answers("sessions.send", { key: "agent:main:other",
	message: "say: hi other", idempotencyKey: sent }, (r) =>
	assert.equal(r.runId, sent));
await check("sessions.send: ends with state final", () => ended(sent, "final"));
const steered = randomUUID();
await check("sessions.steer: starts a run or is refused by name", async () => {
	called.add("sessions.steer");
	const f = await op.frame("sessions.steer", { key: "agent:main:other",
		message: "say: steered", idempotencyKey: steered });
	if (f.ok)
		await op.event("chat", (p) => p.runId === f.payload.runId &&
			p.state === "final");
	else
		assert.match(f.error.message, /^invalid sessions\.steer params|^unknown method/);
});
await answers("sessions.abort", { key: "agent:main:other" }, (r) =>
	assert.deepEqual([r.ok, r.status], [true, "no-active-run"]));
await answers("sessions.list", { limit: 1, includeDerivedTitles: true,
	includeLastMessage: true }, (r) => {
	isArray("sessions")(r);
	assert.equal(r.sessions.length, 1);
	assert.equal(r.hasMore, true);
	for (const s of r.sessions) {
		conforms("sessions.list", "SessionRow", s);
		assert.deepEqual([s.pinned, s.unread, s.chatType],
			[false, false, "direct"]);
	}
});
await answers("sessions.list", { search: "no such thing" }, (r) =>
	assert.deepEqual(r.sessions, []), "without a hit");
await answers("sessions.describe", { key: "main" }, (r) =>
	assert.equal(r.session.key, "agent:main:main"));
await answers("sessions.describe", { key: "agent:main:nowhere" }, (r) =>
	assert.equal(r.session, null), "unknown");
await answers("sessions.preview", { keys: ["main", "agent:main:nowhere"] }, (r) =>
	assert.deepEqual(r.previews.map((p) => p.status), ["ok", "missing"]));
await answers("sessions.get", { key: "main" }, isArray("messages"));
await refuses("sessions.search", { query: " " }, "INVALID_REQUEST",
	/^query must not be empty$/, "blank");
await answers("sessions.search", { query: "quick brown" }, (r) =>
	assert.ok(r.results.some((h) => h.sessionKey === "agent:main:main")));
await answers("sessions.usage", {}, (r) => {
	isArray("sessions")(r);
	assert.equal(typeof r.totals, "object");
	assert.equal(typeof r.aggregates, "object");
});
await answers("sessions.usage.timeseries", { key: "main" }, (r) =>
	assert.equal(typeof r, "object"));
await answers("sessions.usage.logs", { key: "main" }, isArray("logs"));
await answers("usage.status", {}, isArray("providers"));
await answers("usage.cost", { days: 3 }, (r) => {
	assert.equal(r.daily.length, 3);
	assert.equal(typeof r.totals.totalTokens, "number");
});
await refuses("usage.cost", { startDate: "2026-13-40" }, "INVALID_REQUEST",
	/^invalid startDate: /);
await refuses("usage.cost", { startDate: "2026-02-01", endDate: "2026-01-01" },
	"INVALID_REQUEST", /^startDate must not be after endDate$/);
await answers("sessions.messages.unsubscribe", { key: "main" }, (r) =>
	assert.deepEqual([r.subscribed, r.key], [false, "agent:main:main"]));
await answers("sessions.compact", { key: "main", maxLines: 4 }, (r) =>
	assert.equal(r.compacted, true));
await answers("sessions.reset", { key: "main" }, (r) => assert.equal(r.ok, true));
await answers("chat.history", { sessionKey: "main" }, (r) =>
	assert.deepEqual(r.messages.filter((m) => m.role === "user" ||
		m.role === "assistant"), []), "after reset");
await answers("sessions.delete", { key: "agent:main:other" }, (r) =>
	assert.deepEqual([r.ok, r.deleted], [true, true]));
await answers("sessions.delete", { key: "agent:main:other" }, (r) =>
	assert.equal(r.deleted, false), "again");
await refuses("sessions.delete", { key: "global" }, "INVALID_REQUEST",
	/^Cannot delete the main session \(global\)\./, "global");
await refuses("sessions.delete", { key: "main" }, "INVALID_REQUEST",
	/^Cannot delete the main session \(agent:main:main\)\./);

/* --- channels */

await answers("channels.status", {}, isArray("channelOrder"));
await refuses("channels.status", { channel: "none" }, "INVALID_REQUEST",
	/unknown channel: none/);
await refuses("channels.start", { channel: "none" }, "INVALID_REQUEST",
	/^invalid channels\.start channel/);
await refuses("channels.stop", { channel: "none" }, "INVALID_REQUEST",
	/^invalid channels\.stop channel/);
await refuses("channels.logout", { channel: "none" }, "INVALID_REQUEST",
	/^invalid channels\.logout channel/);
await answers("channels.pairing.list", {});
await refuses("channels.pairing.list", { channel: "none" }, "INVALID_REQUEST",
	/^Error: unknown pairing channel: none$/);
await refuses("channels.pairing.approve", { channel: "none", accountId: "a",
	requestId: "r" }, "INVALID_REQUEST",
	/^Error: unknown pairing channel: none$/);
await refuses("channels.pairing.dismiss", { channel: "none", accountId: "a",
	requestId: "r" }, "INVALID_REQUEST",
	/^Error: unknown pairing channel: none$/);
await refuses("send", { to: "x", message: "m", channel: "none",
	idempotencyKey: randomUUID() }, "INVALID_REQUEST", /unsupported channel: none/);
await refuses("poll", { to: "x", question: "q", options: ["a", "b"],
	channel: "none", idempotencyKey: randomUUID() }, "INVALID_REQUEST",
	/unsupported poll channel: none/);
await refuses("message.action", { channel: "none", action: "react", params: {},
	idempotencyKey: randomUUID() }, "INVALID_REQUEST", /none/);

/* --- secrets */

await answers("secrets.store.list", {}, (r) => assert.deepEqual(r.entries, []));
await answers("secrets.store.set", { name: "TEST_KEY", value: "planted-7c1f",
	kind: "secret", allowedHosts: ["API.example.com"] }, (r) =>
	assert.deepEqual(r, { ok: true, reloaded: false }));
await answers("secrets.store.set", { name: "TEST_ENV", value: "v1", kind: "env" });
await answers("secrets.store.list", {}, (r) => {
	assert.deepEqual(r.entries.map((e) => [e.name, e.kind, e.value]),
		[["TEST_ENV", "env", "v1"], ["TEST_KEY", "secret", undefined]]);
	assert.deepEqual(r.entries[1].allowedHosts, ["api.example.com"]);
}, "with two");
await refuses("secrets.store.set", { name: "TEST_ENV", value: "x", kind: "env",
	allowedHosts: ["a.example"] }, "INVALID_REQUEST",
	/Allowed hosts apply only to secret entries\./);
await answers("secrets.reload", {}, (r) => assert.equal(r.ok, true));
await answers("secrets.resolve", { commandName: "test",
	targetIds: ["talk.apiKey"] }, (r) => assert.deepEqual(r.assignments, []));
await refuses("secrets.resolve", { commandName: "test", targetIds: ["no.such"] },
	"INVALID_REQUEST", /unknown target id "no\.such"/);
await answers("secrets.store.delete", { name: "TEST_ENV" }, (r) =>
	assert.deepEqual(r, { ok: true, reloaded: false }));
await answers("secrets.store.delete", { name: "TEST_ENV" }, () => {}, "again");
await check("AB-100 secrets: a planted value is in no file and no log line", () => {
	const look = (dir) => {
		for (const e of fs.readdirSync(dir, { withFileTypes: true })) {
			const name = `${dir}/${e.name}`;
			if (e.isDirectory())
				look(name);
			else if (e.isFile())
				assert.ok(!fs.readFileSync(name).includes("planted-7c1f"),
					name);
		}
	};
	look(gw.dir);
	assert.ok(!gw.log.includes("planted-7c1f"));
	for (const f of op.frames)
		assert.ok(!JSON.stringify(f).includes("planted-7c1f"));
});

/* --- audit */

await answers("audit.list", { limit: 5 }, (r) => {
	assert.equal(r.events.length, 5);
	assert.match(r.nextCursor, /^[1-9][0-9]*$/);
});
await answers("audit.list", { runId: run }, (r) =>
	assert.deepEqual(r.events.map((e) => [e.action, e.status]),
		[["agent.run.finished", "succeeded"], ["agent.run.started", "started"]]),
	"of a run");
await answers("audit.list", { runId: held }, (r) =>
	assert.deepEqual([r.events[0].status, r.events[0].errorCode],
		["cancelled", "run_cancelled"]), "of an aborted run");
await answers("audit.activity.list", { runId: broken }, (r) =>
	assert.equal(r.events[0].errorCode, "run_failed"));
await answers("audit.run.inspect", { runId: run }, (r) =>
	assert.equal(r.run.status, "known"), "known");
await check("AB-100 audit: nothing of what was said is kept", async () => {
	const r = await op.call("audit.ledger.read", { limit: 500 });
	for (const word of ["quick brown", "scripted", gw.token])
		assert.ok(!JSON.stringify(r).includes(word), word);
});
await refuses("audit.list", { cursor: "x" }, "INVALID_REQUEST",
	/^invalid audit\.list range or cursor/);
await refuses("audit.activity.list", { kind: "agent_run", channel: "c" },
	"INVALID_REQUEST", /^invalid audit\.activity\.list filters: /);
await answers("audit.run.inspect", { runId: "nowhere" }, (r) =>
	assert.deepEqual([r.run.status, r.identity.reasonCode],
		["unknown", "run_not_found"]));

/* --- approvals, exec-approvals, question */

const isList = (n) => (r) => assert.equal(Array.isArray(r) && r.length, n);
for (const m of ["exec.approval.list", "plugin.approval.list",
	"openclaw.approval.list"])
	await answers(m, { more: 1 }, isList(0));
await refuses("exec.approval.request", { command: " " }, "INVALID_REQUEST",
	/^command is required$/, "blank");
await answers("exec.approval.request", { command: "uname" }, (r) =>
	assert.equal(r.decision, null), "that nobody can answer");
const reviewer = await operator(gw, { scopes: ["operator.approvals"],
	caps: ["approvals"] });
const title = "Send \u202eit";
for (const [kind, params] of [
	["exec", { commandArgv: ["uname", "-a"], cwd: "/srv", agentId: "main" }],
	["plugin", { title, description: "To all", severity: "critical",
		scope: { kind: "payment", amount: "1", currency: "EUR", target: "x" } }],
]) {
	called.add(`${kind}.approval.request`);
	const asked = op.frame(`${kind}.approval.request`,
		{ ...params, twoPhase: true }, { all: true });
	const e = await reviewer.event(`${kind}.approval.requested`,
		(p) => !p.request.title || p.request.title === "Send it");
	const { id } = e.payload;
	await answers(`${kind}.approval.list`, {}, isList(1), "with one");
	await answers("approval.get", { id }, (r) =>
		assert.equal(r.approval.presentation.kind, kind), `pending ${kind}`);
	if (kind === "exec")
		await answers("exec.approval.get", { id }, (r) =>
			assert.equal(r.commandText, "uname -a"));
	await refuses(`${kind}.approval.resolve`, { id, decision: "maybe" },
		"INVALID_REQUEST", /^invalid decision$/);
	called.add(`${kind}.approval.resolve`);
	await check(`${kind}.approval.resolve: answer`, async () =>
		assert.deepEqual(await reviewer.call(`${kind}.approval.resolve`,
			{ id, decision: "allow-once" }), { ok: true }));
	await check(`${kind}.approval.request: both answers`, async () => {
		const [first, last] = await asked;
		assert.equal(first.payload.status, "accepted");
		assert.equal(first.payload.deliveryRoute, "approval-client");
		assert.equal(last.payload.decision, "allow-once");
		await op.event(`${kind}.approval.resolved`, (p) => p.id === id);
	});
	await answers(`${kind}.approval.waitDecision`, { id }, (r) =>
		assert.equal(r.terminalReason, "user"));
	await answers("approval.get", { id }, (r) =>
		assert.equal(r.approval.status, "allowed"), `ended ${kind}`);
	await answers("approval.resolve", { id, kind, decision: "deny" }, (r) =>
		assert.deepEqual([r.applied, r.approval.decision],
			[false, "allow-once"]), `late ${kind}`);
}
{
	const asked = op.frame("plugin.approval.request", { title: "a",
		description: "b", allowedDecisions: ["allow-once"] });
	const e = await reviewer.event("plugin.approval.requested",
		(p) => p.request.title === "a");
	await answers("approval.resolve", { id: e.payload.id, kind: "exec",
		decision: "allow-once" }, (r) => assert.deepEqual([r.applied,
		r.approval.reason], [true, "malformed-verdict"]), "malformed");
	await asked;
}
await answers("approval.history", { limit: 2 }, (r) => {
	assert.equal(r.items.length, 2);
	assert.equal(typeof r.nextCursor, "string");
});
await answers("approval.history", {}, isArray("items"), "all");
await refuses("approval.history", { cursor: "x" }, "INVALID_REQUEST",
	/^invalid approval\.history cursor$/);
await refuses("approval.get", { id: "none" }, "INVALID_REQUEST",
	/^approval not found$/);
const policy = await answers("exec.approvals.get", {}, (r) =>
	assert.equal(r.resolvedDefaults.security, "deny"));
await answers("exec.approvals.set", { file: { ...policy.file, defaults:
	{ security: "allowlist" }, agents: { main: { allowlist:
	[{ pattern: "/usr/bin/uname" }] } } }, baseHash: policy.hash });
await refuses("exec.approvals.set", { file: { version: 1 } },
	"INVALID_REQUEST", /base hash required/);
await refuses("exec.approvals.node.get", { nodeId: "none" }, "INVALID_REQUEST",
	/nodeId/);
await refuses("exec.approvals.node.set", { nodeId: "none",
	file: { version: 1 } }, "INVALID_REQUEST", /nodeId/);
await answers("exec.approval.grants.list", {}, isArray("grants"));
await answers("exec.approval.grants.revoke", { grantId: "none" }, (r) =>
	assert.equal(r.outcome, "not-found"));
const asking = { questions: [{ questionId: "q1", header: "Pick",
	question: "Which?", options: [{ label: "a" }, { label: "b" }] }],
	agentId: "main", sessionKey: "agent:main:main" };
const question = await answers("question.request", asking);
await op.event("question.requested", (p) => p.id === question.id);
await answers("question.list", {}, (r) =>
	assert.equal(r.questions.length, 1));
await answers("question.waitAnswer", { id: question.id, timeoutMs: 1 }, (r) =>
	assert.equal(r.status, "pending"), "that does not come");
await refuses("question.resolve", { id: question.id,
	answers: { answers: { q1: ["c"] } } }, "INVALID_REQUEST", /q1/);
await answers("question.resolve", { id: question.id,
	answers: { answers: { q1: ["b"] } } });
await check("event question.resolved: official definition", async () =>
	conforms("event question.resolved", "QuestionResolvedEvent",
		(await op.event("question.resolved")).payload));
await answers("question.waitAnswer", { id: question.id }, (r) =>
	assert.deepEqual(r.answers, { answers: { q1: ["b"] } }));
await answers("question.get", { id: question.id });
await refuses("question.get", { id: "x" }, "INVALID_REQUEST",
	/^question 'x' was not found$/);
await reviewer.close();

/* --- push; with a device: tests/wire/test_push.mjs */

await answers("push.web.vapidPublicKey", {}, (r) =>
	assert.equal(Buffer.from(r.vapidPublicKey, "base64url").length, 65));
const endpoint = "https://push.example/1";
await refuses("push.web.subscribe", { endpoint, keys: { p256dh: "AA", auth: "AA" } },
	"INVALID_REQUEST", /^paired browser device identity required$/);
await refuses("push.web.unsubscribe", { endpoint }, "FORBIDDEN",
	/^subscription is not bound to this device$/);
await refuses("push.web.test", {}, "INVALID_REQUEST",
	/^no web push subscriptions registered$/);
await refuses("push.web.preferences.get", { endpoint }, "FORBIDDEN",
	/^subscription is not bound to this device$/);
await refuses("push.web.preferences.set", { endpoint, scope: "device",
	preferences: { enabled: true, label: "" } }, "FORBIDDEN",
	/^subscription is not bound to this device$/);
await refuses("push.test", { nodeId: "n1" }, "INVALID_REQUEST",
	/^node n1 has no APNs registration/);

await check("device.scopes: without a device, in details too", async () => {
	for (const [m, params] of [
		["device.scopes.requestUpgrade", { scopes: ["operator.read"] }],
		["device.scopes.waitUpgrade", { requestId: "x" }]]) {
		const f = await op.frame(m, params);
		assert.deepEqual(f.error.details, { code: "DEVICE_IDENTITY_REQUIRED",
			recommendedNextStep: "reopen_control_ui_securely" }, m);
	}
});

/* --- what every connection may and may not do */

await refuses("connect", connectParams({ token: gw.token }), "INVALID_REQUEST",
	/^connect is only valid as the first request/, "second");
await refuses("no.such.method", {}, "INVALID_REQUEST",
	/^unknown method: no\.such\.method$/);
await check("every method is FORBIDDEN without its scope", async () => {
	const none = await operator(gw, { scopes: [] });
	for (const { method, scope } of methods) {
		if (method === "health" || scope === "dynamic")
			continue;
		const f = await none.frame(method, { unexpectedMember: 1 });
		assert.equal(f.error?.code, "FORBIDDEN", `${method}: ${JSON.stringify(f)}`);
		assert.equal(f.error.message, `missing scope: ${scope}`, method);
		assert.equal(f.error.details.missingScope, scope, method);
		conforms("error", "ErrorShape", f.error);
	}
	await none.close();
});
await check("a wrong token: error shape, then close 1008", async () => {
	const raw = await new Raw(gw.url).open();
	const f = await raw.frame("connect", connectParams({ token: "no" }));
	conforms("error", "ErrorShape", f.error);
	assert.equal(f.error.details.code, "AUTH_TOKEN_MISMATCH");
	assert.equal((await raw.closed).code, 1008);
});

/* --- everything that came as an event */

const payloads = { chat: "ChatEvent", agent: "AgentEvent", tick: "TickEvent",
	shutdown: "ShutdownEvent", "session.operation": "SessionOperationEvent" };
await check("events: every frame is an official EventFrame", () => {
	assert.ok(op.events.length > 20);
	for (const e of op.events)
		conforms(`event ${e.event}`, "EventFrame", e);
});
await check("events: every name is one that hello lists", () => {
	for (const e of op.events)
		assert.ok(op.hello.features.events.includes(e.event), e.event);
});
for (const [name, def] of Object.entries(payloads)) {
	const mine = op.events.filter((e) => e.event === name);
	if (mine.length === 0)
		continue;
	await check(`event ${name}: every payload is an official ${def}`, () => {
		for (const e of mine)
			conforms(`event ${name}`, def, e.payload);
	});
}
await check("events: those of a turn came", () => {
	const names = new Set(op.events.map((e) => e.event));
	for (const n of ["chat", "agent", "session.message", "sessions.changed",
		"config.changed", "presence", "plugins.changed"])
		assert.ok(names.has(n), n);
});
await check("events: those of a session show its row, twice", () => {
	const rows = op.events.filter((e) => e.payload?.session?.kind);
	assert.ok(rows.some((e) => e.event === "session.message"));
	assert.ok(rows.some((e) => e.event === "sessions.changed"));
	for (const { payload: p } of rows)
		for (const k of ["kind", "updatedAt", "hasActiveRun"])
			assert.deepEqual(p[k], p.session[k]);
	const gone = op.events.find((e) => e.payload?.reason === "delete");
	assert.deepEqual([gone.payload.agentId, typeof gone.payload.sessionId],
		["main", "string"]);
});
await check("events: agent says that no heartbeat made it", () => {
	for (const e of op.events.filter((x) => x.event === "agent"))
		assert.equal(e.payload.isHeartbeat, false);
});
await check("events: config.changed carries no content", () => {
	for (const e of op.events.filter((x) => x.event === "config.changed"))
		assert.deepEqual(Object.keys(e.payload).sort(), ["hash", "path", "ts"]);
});
await check("AB-122 events: seq counts one by one", () => {
	const seqs = op.events.map((e) => e.seq).filter((s) => s !== undefined);
	assert.equal(seqs[0], 1);
	for (let i = 1; i < seqs.length; i++)
		assert.equal(seqs[i], seqs[i - 1] + 1);
});
await check("every response frame is an official ResponseFrame", () => {
	for (const f of op.frames.filter((x) => x.type === "res"))
		conforms("response", "ResponseFrame", f);
});

/* --- nothing forgotten, no excuse that is not needed */

await check("every method of the list was called", () => {
	const left = methods.map((m) => m.method).filter((m) => !called.has(m));
	assert.deepEqual(left, []);
});
await check("the official schema knows the result definitions", () => {
	for (const m of methods)
		assert.ok(!m.result || schema.definitions[m.result], m.method);
});
await check("differences.json has no entry that is not needed", () => {
	const idle = differencesOf(judged).filter((d) => !usedDifferences.has(d.i));
	assert.deepEqual(idle.map((d) => `${d.where} ${d.error}`), []);
});
await finish();
