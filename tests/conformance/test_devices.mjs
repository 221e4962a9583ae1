// SPDX-License-Identifier: MIT
// The official client library with a device identity: it pairs, is approved,
// keeps its token, comes back with it alone, and is turned out.
import { GatewayClient } from "@openclaw/gateway-client";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { Gateway, assert, atEnd, check, finish, within } from "./lib.mjs";

const gw = await new Gateway({ config: { gateway: { nodes: { pairing: {
	autoApproveLocal: false } } } } }).start();

function identity() {
	const { publicKey, privateKey } = generateKeyPairSync("ed25519");
	const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
	return { deviceId: createHash("sha256").update(raw).digest("hex"),
		publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
		privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
		raw: raw.toString("base64url") };
}

// What a host keeps for the library.
class Host {
	tokens = new Map();
	cleared = 0;
	constructor() {
		this.id = identity();
		this.deps = {
			loadOrCreateDeviceIdentity: () => this.id,
			signDevicePayload: (pem, payload) => sign(null, Buffer.from(payload),
				pem).toString("base64url"),
			publicKeyRawBase64UrlFromPem: () => this.id.raw,
			loadDeviceAuthToken: (p) => this.tokens.get(p.role) ?? null,
			storeDeviceAuthToken: (p) => this.tokens.set(p.role,
				{ token: p.token, scopes: p.scopes }),
			clearDeviceAuthToken: (p) => {
				this.cleared++;
				this.tokens.delete(p.role);
			},
		};
	}
}

// One client, started; first: what came first, hello or an error.
function client(host, over = {}) {
	const seen = { closes: [], paused: [] };
	const waiters = new Set();
	let settle;
	const first = new Promise((ok) => { settle = ok; });
	const c = new GatewayClient({
		url: gw.url, token: gw.token, clientName: "cli", mode: "cli",
		role: "operator", scopes: ["operator.read", "operator.write"],
		...(host ? { deviceIdentity: host.id, hostDeps: host.deps } : {}),
		onHelloOk: (hello) => settle({ hello }),
		onConnectError: (error) => settle({ error }),
		onReconnectPaused: (p) => seen.paused.push(p),
		onClose: (code, reason) => {
			seen.closes.push({ code, reason });
			for (const w of waiters)
				w({ code, reason });
		},
		...over,
	});
	atEnd(() => c.stop());
	c.start();
	const closed = () => seen.closes.length ?
		Promise.resolve(seen.closes.at(-1)) :
		within(new Promise((ok) => waiters.add(ok)), "close");
	return { c, seen, closed, first: within(first, "hello or error") };
}

const admin = client(null, { clientName: "gateway-client", mode: "backend",
	scopes: ["operator.admin"], deviceIdentity: null });
const ops = (await admin.first).hello && admin.c;
const host = new Host();

await check("an unknown device waits for an operator", async () => {
	const a = client(host);
	const { error } = await a.first;
	assert.ok(error, "it was let in");
	const list = await ops.request("device.pair.list", {});
	const q = list.pending.find((r) => r.deviceId === host.id.deviceId);
	assert.equal(q.clientId, "cli");
	assert.deepEqual(q.scopes, ["operator.read", "operator.write"]);
	assert.equal((await a.closed()).code, 1008);
	a.c.stop();
	await ops.request("device.pair.approve", { requestId: q.requestId });
});

await check("approved, it gets a token and keeps it", async () => {
	const a = client(host);
	const { hello, error } = await a.first;
	assert.ok(hello, String(error));
	assert.equal(hello.auth.deviceToken.length, 43);
	assert.deepEqual(hello.auth.scopes, ["operator.read", "operator.write"]);
	assert.equal(host.tokens.get("operator").token, hello.auth.deviceToken);
	a.c.stop();
});

await check("it comes back with the token alone", async () => {
	const a = client(host, { token: undefined, scopes: undefined });
	const { hello, error } = await a.first;
	assert.ok(hello, String(error));
	assert.equal(hello.auth.deviceToken, host.tokens.get("operator").token);
	await a.c.request("sessions.list", {});
	// Rotated by somebody else: it is closed, and the old one is refused.
	const r = await ops.request("device.token.rotate",
		{ deviceId: host.id.deviceId, role: "operator" });
	assert.equal(r.tokenDelivery, "withheld-cross-device");
	assert.equal((await a.closed()).code, 4001);
	a.c.stop();
	const b = client(host, { token: undefined });
	assert.match(String((await b.first).error), /device token mismatch/);
	b.c.stop();
	assert.equal(host.cleared, 1);
});

await check("with the shared secret it gets the new token", async () => {
	const a = client(host);
	const { hello } = await a.first;
	assert.equal(host.tokens.get("operator").token, hello.auth.deviceToken);
	await ops.request("device.token.revoke",
		{ deviceId: host.id.deviceId, role: "operator" });
	assert.deepEqual(await a.closed(), { code: 4001, reason: "device removed" });
	a.c.stop();
});

await check("removed, it has to ask again", async () => {
	const a = client(host);
	assert.ok((await a.first).hello);
	await ops.request("device.pair.remove", { deviceId: host.id.deviceId });
	assert.equal((await a.closed()).code, 4001);
	a.c.stop();
	const b = client(host);
	assert.ok((await b.first).error);
	b.c.stop();
});

await check("a node pairs in its own role", async () => {
	const node = new Host();
	const a = client(node, { clientName: "node-host", mode: "node",
		role: "node", scopes: [], caps: ["system"], commands: ["system.run"] });
	assert.ok((await a.first).error);
	a.c.stop();
	const list = await ops.request("device.pair.list", {});
	const q = list.pending.find((r) => r.deviceId === node.id.deviceId);
	assert.equal(q.role, "node");
	await ops.request("device.pair.approve", { requestId: q.requestId });
	const b = client(node, { clientName: "node-host", mode: "node",
		role: "node", scopes: [] });
	const { hello, error } = await b.first;
	assert.ok(hello, String(error));
	assert.equal(hello.auth.role, "node");
	b.c.stop();
});

await finish();
