// SPDX-License-Identifier: MIT
// The same job in Node.js, written the usual way: ws, ajv and a map of methods.
// A frame is parsed and validated, the caller's scope is looked at, the
// parameters are validated, a handler answers. For comparison in
// tests/bench/run; run it from a folder that has ws, ajv and the official
// schema in node_modules.
import Ajv from "ajv";
import fs from "node:fs";
import { randomUUID } from "node:crypto";
import { WebSocketServer } from "ws";

const schema = JSON.parse(fs.readFileSync(new URL(
	"node_modules/@openclaw/gateway-protocol/protocol.schema.json",
	import.meta.url), "utf8"));
const ajv = new Ajv({ strict: false });
ajv.addSchema({ $id: "official", definitions: schema.definitions });
const definition = (name) => ajv.compile({ $ref: `official#/definitions/${name}` });

const token = process.env.CHELA_TOKEN;
const isRequest = definition("RequestFrame");
const isConnect = definition("ConnectParams");
const clients = new Set();
const agents = new Map([["main", { agentId: "main", name: "Assistant",
	nameSource: "default", avatar: "A" }]]);

const covers = { "operator.admin": () => true,
	"operator.write": (s) => s === "operator.write" || s === "operator.read",
	"operator.read": (s) => s === "operator.read" };

const methods = new Map([
	["agent.identity.get", { scope: "operator.read",
		valid: definition("AgentIdentityParams"),
		handle: (p) => agents.get(p.agentId ?? "main") }],
	["agent.wait", { scope: "operator.write",
		valid: definition("AgentWaitParams"),
		handle: (p) => ({ runId: p.runId, status: "timeout" }) }],
	["say", { scope: "operator.write",
		valid: ajv.compile({ type: "object", required: ["text"],
			properties: { text: { type: "string" }, pad: { type: "string" } },
			additionalProperties: false }),
		handle: (p) => {
			broadcast("said", p);
			return null;
		} }],
]);

function broadcast(event, payload) {
	const body = JSON.stringify(payload);
	for (const c of clients)
		c.ws.send(`{"type":"event","event":"${event}","payload":${body},"seq":${++c.seq}}`);
}

function fail(ws, id, code, message) {
	ws.send(JSON.stringify({ type: "res", id, ok: false, error: { code, message } }));
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0,
	perMessageDeflate: false, maxPayload: 26214400 });
server.on("connection", (ws) => {
	const client = { ws, seq: 0, scopes: null };
	ws.send(JSON.stringify({ type: "event", event: "connect.challenge",
		payload: { nonce: randomUUID(), ts: Date.now() } }));
	ws.on("close", () => clients.delete(client));
	ws.on("message", (data) => {
		let f;
		try {
			f = JSON.parse(data);
		} catch {
			return;
		}
		if (!isRequest(f))
			return fail(ws, f?.id ?? "invalid", "INVALID_REQUEST",
				`invalid request frame: ${ajv.errorsText(isRequest.errors)}`);
		const p = f.params ?? {};
		if (!client.scopes) {
			if (f.method !== "connect" || !isConnect(p) || p.auth?.token !== token)
				return ws.close(1008);
			client.scopes = p.scopes ?? [];
			clients.add(client);
			return ws.send(JSON.stringify({ type: "res", id: f.id, ok: true,
				payload: { type: "hello-ok", protocol: 4 } }));
		}
		const m = methods.get(f.method);
		if (!m)
			return fail(ws, f.id, "INVALID_REQUEST", `unknown method: ${f.method}`);
		if (!client.scopes.some((s) => covers[s]?.(m.scope)))
			return fail(ws, f.id, "FORBIDDEN", `missing scope: ${m.scope}`);
		if (!m.valid(p))
			return fail(ws, f.id, "INVALID_REQUEST",
				`invalid ${f.method} params: ${ajv.errorsText(m.valid.errors)}`);
		ws.send(JSON.stringify({ type: "res", id: f.id, ok: true,
			payload: m.handle(p) }));
	});
});
server.on("listening", () => process.stderr.write(
	`listening on ws://127.0.0.1:${server.address().port}\n`));
process.on("SIGTERM", () => process.exit(0));
