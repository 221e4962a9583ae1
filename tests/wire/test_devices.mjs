// SPDX-License-Identifier: MIT
// Device identities: proofs, pairing, tokens, revocation, setup codes.
import { Client, Device, FAR_CONFIG, Gateway, assert, check, enter, entered, far,
	finish, operator, params, refused, within } from "./device.mjs";
import fs from "node:fs";

const gw = await new Gateway({ config: FAR_CONFIG }).start();
const remote = { headers: far() };
const ops = (await operator(gw)).c;
const READ = ["operator.read"];

// Lets a device in that asks from far away; gives the approved record.
async function approved(device, opts = {}) {
	const no = await refused(gw, { device, scopes: READ, ...remote, ...opts });
	assert.equal(no.details.code, "PAIRING_REQUIRED");
	return ops.call("device.pair.approve",
		{ requestId: no.details.requestId });
}

await check("AB-048 AB-049 every fault of a proof has its own code", async () => {
	const d = new Device(), other = new Device();
	const fault = async (proof, code, reason, message) => {
		const r = await refused(gw, { device: d, proof, scopes: READ });
		assert.equal(r.details.code, code);
		assert.equal(r.details.reason, reason);
		assert.equal(r.error.code, "INVALID_REQUEST");
		assert.equal(r.error.message, message);
		assert.deepEqual(r.close, { code: 1008, reason: message });
	};
	const now = Date.now();
	const expired = ["DEVICE_AUTH_SIGNATURE_EXPIRED", "device-signature-stale",
		"device signature expired"];
	const invalid = ["DEVICE_AUTH_SIGNATURE_INVALID", "device-signature",
		"device signature invalid"];
	const id = ["DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch",
		"device identity mismatch"];
	await fault({ signedAt: now - 125_000 }, ...expired);
	await fault({ signedAt: now + 130_000 }, ...expired);
	await fault({ over: { nonce: "  " } }, "DEVICE_AUTH_NONCE_REQUIRED",
		"device-nonce-missing", "device nonce required");
	await fault({ nonce: "3f1c9a52-0000-4000-8000-000000000000" },
		"DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch",
		"device nonce mismatch");
	await fault({ version: 1 }, ...invalid);
	// Role, scopes, client id, mode, token, platform: all are signed.
	for (const [i, v] of [[2, "cli"], [3, "cli"], [4, "node"],
		[5, "operator.admin"], [7, "another"], [9, "darwin"]])
		await fault({ signed: { [i]: v } }, ...invalid);
	await fault({ over: { signature: "AAAA" } }, ...invalid);
	await fault({ over: { id: other.id } }, ...id);
	await fault({ over: { publicKey: other.publicKey } }, ...id);
	await fault({ over: { publicKey: "no key" } }, ...id);
	await fault({ over: { id: d.id.toUpperCase() } }, ...id);
});

await check("AB-048 a signature has one text, and one value", async () => {
	const d = new Device();
	for (const change of [
		(s) => s.slice(0, -2),
		(s) => s + "AA",
		// The last character's spare bits.
		(s) => s.slice(0, -1) + (s.endsWith("A") ? "B" :
			String.fromCharCode(s.charCodeAt(s.length - 1) + 1)),
		// s + L: valid to those who do not check its range.
		(s) => {
			const L = 2n ** 252n + 27742317777372353535851937790883648493n;
			const b = Buffer.from(s, "base64url");
			let n = BigInt("0x" + Buffer.from(b.subarray(32)).reverse()
				.toString("hex")) + L;
			for (let i = 32; i < 64; i++, n >>= 8n)
				b[i] = Number(n & 255n);
			return b.toString("base64url");
		} ]) {
		const c = new Client(gw);
		await c.opened;
		const p = d.prove(params({ token: gw.token, scopes: READ }),
			await c.event("connect.challenge"));
		p.device.signature = change(p.device.signature);
		const r = await c.request("connect", p);
		assert.equal(r.error?.details.code, "DEVICE_AUTH_SIGNATURE_INVALID");
	}
});

await check("AB-048 a proof of another connection is worth nothing", async () => {
	const d = new Device();
	const a = new Client(gw), b = new Client(gw);
	const p = d.prove(params({ token: gw.token, scopes: READ }),
		(await a.opened, await a.event("connect.challenge")));
	await b.opened;
	await b.event("connect.challenge");
	const r = await b.request("connect", p);
	assert.equal(r.error.details.code, "DEVICE_AUTH_NONCE_MISMATCH");
	a.end();
});

await check("keys as base64 and PEM, version 2, a nonce with blanks", async () => {
	for (const proof of [(d) => ({ over: { publicKey: d.raw.toString("base64") } }),
		(d) => ({ over: { publicKey: d.pem } }), () => ({ version: 2 })]) {
		const d = new Device();
		const { auth } = await entered(gw, { device: d, proof: proof(d),
			scopes: READ });
		assert.equal(auth.deviceToken.length, 43);
	}
});

await check("AB-052 on this machine a new device is let in silently", async () => {
	const d = new Device();
	const { auth, c } = await entered(gw, { device: d });
	assert.deepEqual(auth.scopes, ["operator.admin"]);
	assert.match(auth.deviceToken, /^[A-Za-z0-9_-]{43}$/);
	assert.ok(auth.issuedAtMs > 0);
	const list = await ops.call("device.pair.list");
	const row = list.paired.find((r) => r.deviceId === d.id);
	assert.equal(row.approvedVia, "silent");
	assert.equal(row.connected, true);
	assert.ok(!JSON.stringify(list).includes(auth.deviceToken));
	// With the token alone, and the same token again.
	const again = await entered(gw, { device: d,
		auth: { deviceToken: auth.deviceToken } });
	assert.equal(again.auth.deviceToken, auth.deviceToken);
	await entered(gw, { device: d, auth: { token: auth.deviceToken } });
	await entered(gw, { device: d, auth: { token: "wrong",
		deviceToken: auth.deviceToken } });
	// More than was approved: from here the shared secret is enough.
	c.end();
});

await check("AB-034 AB-052 a page, a proxy's client: a request and a person",
	async () => {
	for (const opts of [remote, { client: { id: "test", mode: "ui" },
		headers: { Origin: `http://127.0.0.1:${gw.port}`,
			Host: `127.0.0.1:${gw.port}` } }]) {
		const d = new Device();
		const asked = ops.event("device.pair.requested",
			(p) => p.deviceId === d.id);
		const no = await refused(gw, { device: d, scopes: READ, ...opts });
		assert.equal(no.error.code, "NOT_PAIRED");
		assert.equal(no.details.code, "PAIRING_REQUIRED");
		assert.equal(no.details.reason, "not-paired");
		assert.equal(no.details.deviceId, d.id);
		assert.deepEqual(no.details.requestedScopes, READ);
		assert.match(no.error.message, /^pairing required: /);
		assert.ok(no.close.reason.endsWith(
			`(requestId: ${no.details.requestId})`));
		assert.equal((await asked).requestId, no.details.requestId);
		// Again: the same request, no second event.
		const twice = await refused(gw, { device: d, scopes: READ, ...opts });
		assert.equal(twice.details.requestId, no.details.requestId);
		const list = await ops.call("device.pair.list");
		assert.equal(list.pending.filter((r) => r.deviceId === d.id).length, 1);
		assert.equal(ops.events.filter((e) => e.event ===
			"device.pair.requested" && e.payload.deviceId === d.id).length, 1);
		// More: another request, with both; the old one is resolved.
		const gone = ops.event("device.pair.resolved",
			(p) => p.requestId === no.details.requestId);
		const more = await refused(gw, { device: d,
			scopes: ["operator.write"], ...opts });
		assert.notEqual(more.details.requestId, no.details.requestId);
		assert.equal((await gone).decision, "rejected");
	}
});

await check("approve, reject, rename, remove", async () => {
	const d = new Device();
	const r = await approved(d);
	assert.equal(r.device.deviceId, d.id);
	assert.equal(r.device.tokens[0].role, "operator");
	assert.ok(!("token" in r.device.tokens[0]));
	const { auth, c } = await entered(gw, { device: d, scopes: READ, ...remote });
	assert.deepEqual(auth.scopes, READ);
	await ops.call("device.pair.rename", { deviceId: d.id, label: "Küche" });
	const list = await ops.call("device.pair.list");
	assert.equal(list.paired.find((x) => x.deviceId === d.id).operatorLabel,
		"Küche");
	await assert.rejects(ops.call("device.pair.approve", { requestId: "x" }),
		/unknown requestId/);
	await assert.rejects(ops.call("device.pair.reject", { requestId: "x" }),
		/unknown requestId/);
	await assert.rejects(ops.call("device.pair.remove", { deviceId: "x" }),
		/unknown deviceId/);
	await ops.call("device.pair.remove", { deviceId: d.id });
	assert.deepEqual(await within(c.closed, "close"),
		{ code: 4001, reason: "device removed" });
	const e = new Device();
	const no = await refused(gw, { device: e, scopes: READ, ...remote });
	assert.deepEqual(await ops.call("device.pair.reject",
		{ requestId: no.details.requestId }),
		{ requestId: no.details.requestId, deviceId: e.id });
});

await check("AB-053 live scopes are what was granted, hello says them",
	async () => {
	const d = new Device();
	await approved(d);
	const no = await refused(gw, { device: d, scopes: ["operator.admin"],
		...remote });
	assert.equal(no.details.reason, "scope-upgrade");
	assert.deepEqual(no.details.approvedScopes, READ);
	const { auth } = await entered(gw, { device: d, scopes: READ, ...remote });
	const bad = await refused(gw, { device: d, ...remote,
		auth: { deviceToken: auth.deviceToken } });
	assert.equal(bad.details.code, "AUTH_SCOPE_MISMATCH");
	const less = await entered(gw, { device: d, scopes: [],
		auth: { deviceToken: auth.deviceToken } });
	assert.deepEqual(less.auth.scopes, []);
	await assert.rejects(less.c.call("device.pair.list"), /missing scope/);
	// No device: nothing is kept of what a stranger asks for.
	const none = await entered(gw, { ...remote });
	assert.deepEqual(none.auth.scopes, []);
});

await check("AB-054 a label gives nothing", async () => {
	for (const client of [{ id: "gateway-client", mode: "backend" },
		{ id: "cli", mode: "cli" }]) {
		const { auth } = await entered(gw, { client, ...remote });
		assert.deepEqual(auth.scopes, []);
	}
	const node = await refused(gw, { role: "node", scopes: [] });
	assert.equal(node.details.code, "DEVICE_IDENTITY_REQUIRED");
	for (const id of ["openclaw-control-ui", "openclaw-tui"]) {
		const r = await refused(gw, { client: { id, mode: "ui" },
			headers: { Origin: `http://127.0.0.1:${gw.port}` } });
		assert.equal(r.details.code, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED");
	}
});

await check("wrong credentials with a device: whose fault it is", async () => {
	const d = new Device();
	await approved(d);
	const far2 = { headers: far("198.51.100.20"), scopes: READ, device: d };
	const wrong = await refused(gw, { ...far2, auth: { token: "wrong" } });
	assert.equal(wrong.details.code, "AUTH_TOKEN_MISMATCH");
	assert.equal(wrong.details.canRetryWithDeviceToken, true);
	assert.equal(wrong.details.recommendedNextStep, "retry_with_device_token");
	const token = await refused(gw, { ...far2,
		auth: { deviceToken: "x".repeat(43) } });
	assert.equal(token.details.code, "AUTH_DEVICE_TOKEN_MISMATCH");
	assert.match(token.close.reason, /device token mismatch/);
	const none = await refused(gw, { ...far2, auth: {} });
	assert.equal(none.details.code, "AUTH_TOKEN_MISSING");
	const boot = await refused(gw, { ...far2,
		auth: { bootstrapToken: "x".repeat(43) } });
	assert.equal(boot.details.code, "AUTH_BOOTSTRAP_TOKEN_INVALID");
});

await check("platform is pinned; another one waits for a person", async () => {
	const d = new Device();
	await entered(gw, { device: d });
	const no = await refused(gw, { device: d, client: { id: "test",
		mode: "test", version: "1", platform: "darwin" } });
	assert.equal(no.details.reason, "metadata-upgrade");
});

await check("AB-055 AB-057 nobody gives what he has not", async () => {
	const wide = new Device();
	await entered(gw, { device: wide });
	const { c } = await operator(gw, ["operator.pairing"]);
	const denied = /device token rotation denied/;
	await assert.rejects(c.call("device.token.rotate",
		{ deviceId: wide.id, role: "operator" }), denied);
	await assert.rejects(c.call("device.token.rotate",
		{ deviceId: "0".repeat(64), role: "operator" }), denied);
	await assert.rejects(c.call("device.token.revoke",
		{ deviceId: wide.id, role: "operator" }),
		/device token revocation denied/);
	const asker = new Device();
	const no = await refused(gw, { device: asker, ...remote });
	await assert.rejects(c.call("device.pair.approve",
		{ requestId: no.details.requestId }),
		/device pairing approval denied/);
	const node = new Device();
	const no2 = await refused(gw, { device: node, role: "node", scopes: [],
		...remote });
	await assert.rejects(c.call("device.pair.approve",
		{ requestId: no2.details.requestId }),
		/device pairing approval denied/);
	const own = new Device();
	const no3 = await refused(gw, { device: own, ...remote,
		scopes: ["operator.pairing"] });
	await c.call("device.pair.approve", { requestId: no3.details.requestId });
});

await check("AB-056 roles and scopes that were never approved", async () => {
	const d = new Device();
	await approved(d);
	const denied = /device token rotation denied/;
	const before = (await ops.call("device.pair.list")).paired
		.find((x) => x.deviceId === d.id);
	await assert.rejects(ops.call("device.token.rotate", { deviceId: d.id,
		role: "node" }), denied);
	await assert.rejects(ops.call("device.token.rotate", { deviceId: d.id,
		role: "operator", scopes: ["operator.write"] }), denied);
	await assert.rejects(ops.call("device.token.rotate", { deviceId: d.id,
		role: "operator", scopes: ["operator.nonsense"] }), denied);
	const after = (await ops.call("device.pair.list")).paired
		.find((x) => x.deviceId === d.id);
	assert.deepEqual(after.tokens, before.tokens);
});

await check("AB-061 rotated and revoked tokens end their connections",
	async () => {
	const d = new Device();
	await entered(gw, { device: d });
	const one = await entered(gw, { device: d });
	const own = await one.c.call("device.token.rotate",
		{ deviceId: d.id, role: "operator" });
	assert.equal(own.tokenDelivery, "in-band");
	assert.equal(own.token.length, 43);
	assert.equal((await within(one.c.closed, "close")).code, 4001);
	const old = await refused(gw, { device: d,
		auth: { deviceToken: one.auth.deviceToken } });
	assert.equal(old.details.code, "AUTH_DEVICE_TOKEN_MISMATCH");
	const two = await entered(gw, { device: d,
		auth: { deviceToken: own.token } });
	const cross = await ops.call("device.token.rotate",
		{ deviceId: d.id, role: "operator" });
	assert.equal(cross.tokenDelivery, "withheld-cross-device");
	assert.ok(!("token" in cross));
	assert.equal((await within(two.c.closed, "close")).code, 4001);
	const three = await entered(gw, { device: d });
	const gone = await ops.call("device.token.revoke",
		{ deviceId: d.id, role: "operator" });
	assert.ok(gone.revokedAtMs > 0);
	assert.equal((await within(three.c.closed, "close")).code, 4001);
	const dead = await refused(gw, { device: d,
		auth: { deviceToken: three.auth.deviceToken } });
	assert.equal(dead.details.code, "AUTH_DEVICE_TOKEN_MISMATCH");
});

await check("scope upgrades: asked, approved, collected", async () => {
	const d = new Device();
	await approved(d);
	const { c } = await entered(gw, { device: d, scopes: READ, ...remote });
	const { requestId } = await c.call("device.scopes.requestUpgrade",
		{ scopes: ["operator.write"] });
	const wait = c.call("device.scopes.waitUpgrade", { requestId });
	await ops.call("device.pair.approve", { requestId });
	const got = await wait;
	assert.equal(got.status, "approved");
	assert.ok(got.scopes.includes("operator.write"));
	const { auth } = await entered(gw, { device: d, ...remote,
		scopes: ["operator.write"], auth: { deviceToken: got.deviceToken } });
	assert.deepEqual(auth.scopes, ["operator.write"]);
	const again = await c.call("device.scopes.requestUpgrade",
		{ scopes: ["operator.admin"] });
	const no = c.call("device.scopes.waitUpgrade", again);
	await ops.call("device.pair.reject", again);
	assert.equal((await no).status, "rejected");
});

await check("AB-064 a setup code: one device, once", async () => {
	const made = await ops.call("device.pair.setupCode",
		{ publicUrl: "https://gw.example" });
	const inner = JSON.parse(Buffer.from(made.setupCode, "base64url"));
	assert.equal(inner.url, "wss://gw.example");
	for (const f of fs.readdirSync(gw.stateDir)) {
		const p = `${gw.stateDir}/${f}`;
		if (fs.statSync(p).isFile())
			assert.ok(!fs.readFileSync(p).includes(inner.bootstrapToken), f);
	}
	const d = new Device(), thief = new Device();
	const auth = { bootstrapToken: inner.bootstrapToken };
	// Both at once: one of them.
	const both = await Promise.all([d, thief].map((device) => enter(gw,
		{ device, auth, role: "node", scopes: [], ...remote })));
	assert.equal(both.filter((r) => r.res.ok).length, 1);
	const hello = both.find((r) => r.res.ok).res.payload.auth;
	assert.equal(hello.role, "node");
	assert.equal(hello.deviceToken.length, 43);
	assert.equal(hello.deviceTokens[0].role, "operator");
	assert.ok(!hello.deviceTokens[0].scopes.includes("operator.admin"));
	const winner = both[0].res.ok ? d : thief;
	for (const device of [d, thief]) {
		const r = await refused(gw, { device, auth, role: "node", scopes: [],
			...remote });
		assert.equal(r.details.code, "AUTH_BOOTSTRAP_TOKEN_INVALID");
	}
	const st = await ops.call("device.pair.setupStatus",
		{ setupId: made.setupId });
	assert.equal(st.completion.deviceId, winner.id);
	await entered(gw, { device: winner, ...remote, scopes: ["operator.write"],
		auth: { deviceToken: hello.deviceTokens[0].deviceToken } });
});

await check("AB-064 a rejected request takes its setup code with it",
	async () => {
	const made = await ops.call("device.pair.setupCode",
		{ publicUrl: "ws://gw.example" });
	const { bootstrapToken } = JSON.parse(Buffer.from(made.setupCode,
		"base64url"));
	const d = new Device();
	const no = await refused(gw, { device: d, auth: { bootstrapToken },
		...remote });
	assert.equal(no.details.code, "PAIRING_REQUIRED");
	assert.equal(no.details.pauseReconnect, false);
	await ops.call("device.pair.reject", { requestId: no.details.requestId });
	const r = await refused(gw, { device: d, auth: { bootstrapToken }, ...remote,
		role: "node", scopes: [] });
	assert.equal(r.details.code, "AUTH_BOOTSTRAP_TOKEN_INVALID");
});

await check("AB-062 AB-064 records are there after a restart, bad ones are not",
	async () => {
	const g = await new Gateway({ config: FAR_CONFIG }).start();
	const admin = (await operator(g)).c;
	const d = new Device();
	const { auth } = await entered(g, { device: d });
	const made = await admin.call("device.pair.setupCode",
		{ publicUrl: "ws://gw.example" });
	const { bootstrapToken } = JSON.parse(Buffer.from(made.setupCode,
		"base64url"));
	const identity = fs.readFileSync(`${g.stateDir}/identity.pem`);
	assert.equal(fs.statSync(`${g.stateDir}/identity.pem`).mode & 0o777, 0o600);
	await g.stop();
	const h = await new Gateway({ config: FAR_CONFIG, dir: g.dir,
		token: g.token }).start();
	assert.deepEqual(fs.readFileSync(`${h.stateDir}/identity.pem`), identity);
	const back = await entered(h, { device: d, ...remote,
		auth: { deviceToken: auth.deviceToken } });
	assert.equal(back.auth.deviceToken, auth.deviceToken);
	const phone = new Device();
	await entered(h, { device: phone, role: "node", scopes: [], ...remote,
		auth: { bootstrapToken } });
	await h.stop();
});

await finish();
