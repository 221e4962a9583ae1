// SPDX-License-Identifier: MIT
// Web Push against a push service of the test: what arrives is decrypted here, with
// WebCrypto and the text of RFC 8291, 8188 and 8292, by nothing of ours.
import { createPublicKey, randomBytes, verify,
	webcrypto } from "node:crypto";
import fs from "node:fs";
import https from "node:https";
import path from "node:path";
import { once } from "node:events";
import { Device, Gateway, assert, atEnd, check, entered, finish, operator,
	within } from "./device.mjs";

const { subtle } = webcrypto;
const b64 = (b) => Buffer.from(b).toString("base64url");
const unb64 = (s) => Buffer.from(s, "base64url");

/* ---------------------------------------------------- a browser's side */

class Browser {
	async init() {
		const pair = await subtle.generateKey({ name: "ECDH",
			namedCurve: "P-256" }, true, ["deriveBits"]);
		this.key = pair.privateKey;
		this.pub = Buffer.from(await subtle.exportKey("raw", pair.publicKey));
		this.auth = randomBytes(16);
		return this;
	}

	keys() {
		return { p256dh: b64(this.pub), auth: b64(this.auth) };
	}

	async hkdf(salt, ikm, info, length) {
		const k = await subtle.importKey("raw", ikm, "HKDF", false,
			["deriveBits"]);
		return Buffer.from(await subtle.deriveBits({ name: "HKDF",
			hash: "SHA-256", salt, info }, k, length * 8));
	}

	// RFC 8188 section 2.1 for the header, RFC 8291 section 3.3 for the keys.
	async open(body) {
		const salt = body.subarray(0, 16), rs = body.readUInt32BE(16);
		const idlen = body[20];
		assert.equal(idlen, 65);
		assert.ok(body.length <= rs, "more than one record");
		const sender = body.subarray(21, 21 + idlen);
		const theirs = await subtle.importKey("raw", sender,
			{ name: "ECDH", namedCurve: "P-256" }, false, []);
		const ecdh = Buffer.from(await subtle.deriveBits({ name: "ECDH",
			public: theirs }, this.key, 256));
		const ikm = await this.hkdf(this.auth, ecdh, Buffer.concat([
			Buffer.from("WebPush: info\0"), this.pub, sender]), 32);
		const cek = await this.hkdf(salt, ikm,
			Buffer.from("Content-Encoding: aes128gcm\0"), 16);
		const iv = await this.hkdf(salt, ikm,
			Buffer.from("Content-Encoding: nonce\0"), 12);
		const key = await subtle.importKey("raw", cek, "AES-GCM", false,
			["decrypt"]);
		const plain = Buffer.from(await subtle.decrypt({ name: "AES-GCM", iv },
			key, body.subarray(21 + idlen)));
		const end = plain.lastIndexOf(2);
		assert.ok(end >= 0 && plain.subarray(end + 1).every((b) => b === 0));
		return plain.subarray(0, end).toString();
	}
}

// RFC 8292 sections 2 and 3: who sent it, as the header proves it.
function vapid(header, origin, key) {
	const m = /^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), ?k=([\w-]+)$/.exec(header);
	assert.ok(m, header);
	assert.equal(m[4], key);
	const raw = unb64(m[4]), sig = unb64(m[3]);
	assert.equal(sig.length, 64);
	const pub = createPublicKey({ format: "jwk", key: { kty: "EC", crv: "P-256",
		x: b64(raw.subarray(1, 33)), y: b64(raw.subarray(33)) } });
	assert.ok(verify("sha256", Buffer.from(`${m[1]}.${m[2]}`),
		{ key: pub, dsaEncoding: "ieee-p1363" }, sig), "signature");
	assert.deepEqual(JSON.parse(unb64(m[1])), { typ: "JWT", alg: "ES256" });
	const claims = JSON.parse(unb64(m[2]));
	assert.equal(claims.aud, origin);
	assert.ok(claims.exp > Date.now() / 1000 &&
		claims.exp <= Date.now() / 1000 + 24 * 3600);
	assert.match(claims.sub, /^(mailto:|https:)/);
}

/* ------------------------------------------------------ a push service */

// A certificate for this machine is made by a gateway's first start with TLS.
const maker = await new Gateway({ config: { gateway: { tls: { enabled: true } } } })
	.start();
await maker.stop();
function find(dir, name) {
	return fs.readdirSync(dir, { recursive: true })
		.filter((f) => path.basename(f) === name).map((f) => `${dir}/${f}`)[0];
}
const certFile = find(maker.stateDir, "gateway-cert.pem");
const posts = [];
let arrived = () => {};
let status = () => 201;
const server = https.createServer({ cert: fs.readFileSync(certFile),
	key: fs.readFileSync(find(maker.stateDir, "gateway-key.pem")) },
	(req, res) => {
		const parts = [];
		req.on("data", (d) => parts.push(d));
		req.on("end", () => {
			setImmediate(() => arrived());
			posts.push({ url: req.url, method: req.method,
				headers: req.headers, body: Buffer.concat(parts) });
			res.statusCode = status(req.url);
			res.end("the answer is not read");
		});
	});
server.listen(0, "127.0.0.1");
await within(once(server, "listening"), "push service");
atEnd(() => {
	server.closeAllConnections();
	server.close();
});
const origin = `https://localhost:${server.address().port}`;
const conf = (push) => ({ plugins: { entries: { push: { config: push },
	http: { config: { caFile: certFile } } } } });

/* ---------------------------------------------------------------- tests */

const gw = await new Gateway({ config: conf({ allowPrivate: true,
	subject: "mailto:ops@example.org" }) }).start();
const device = new Device();
const { c } = await entered(gw, { device,
	scopes: ["operator.read", "operator.write", "operator.questions",
		"operator.approvals"] });
const browser = await new Browser().init();
let key, id;

await check("push.web.vapidPublicKey: a point, the same each time", async () => {
	key = (await c.call("push.web.vapidPublicKey")).vapidPublicKey;
	assert.equal(unb64(key).length, 65);
	await subtle.importKey("raw", unb64(key), { name: "ECDSA",
		namedCurve: "P-256" }, false, ["verify"]);
	assert.equal((await c.call("push.web.vapidPublicKey")).vapidPublicKey, key);
});
await check("push.web.subscribe: only for a device", async () => {
	const plain = (await operator(gw)).c;
	await assert.rejects(plain.call("push.web.subscribe",
		{ endpoint: `${origin}/a`, keys: browser.keys() }),
	/paired browser device identity required/);
	id = (await c.call("push.web.subscribe", { endpoint: `${origin}/a`,
		keys: browser.keys() })).subscriptionId;
	assert.match(id, /^[0-9a-f-]{36}$/);
});
for (const [title, body] of [["Hello", "short"], ["Ünï — ✓", "😀".repeat(200)],
	["", ""], ["x", "y".repeat(3900)]]) {
	await check(`what was sent is read: ${title || "empty"}`, async () => {
		posts.length = 0;
		const r = await c.call("push.web.test", { title, body });
		assert.deepEqual(r.results, [{ ok: true, subscriptionId: id,
			statusCode: 201 }]);
		assert.equal(posts.length, 1);
		const p = posts[0];
		assert.deepEqual([p.method, p.url, p.headers["content-encoding"]],
			["POST", "/a", "aes128gcm"]);
		assert.match(p.headers.ttl, /^\d+$/);
		assert.ok(p.body.length <= 4096);
		vapid(p.headers.authorization, origin, key);
		const m = JSON.parse(await browser.open(p.body));
		assert.deepEqual([m.title, m.body], [title, body]);
	});
}
await check("each message has its own salt and sender key", async () => {
	posts.length = 0;
	await c.call("push.web.test", {});
	await c.call("push.web.test", {});
	assert.notDeepEqual(posts[0].body.subarray(0, 16),
		posts[1].body.subarray(0, 16));
	assert.notDeepEqual(posts[0].body.subarray(21, 86),
		posts[1].body.subarray(21, 86));
});
await check("another's keys do not open it", async () => {
	const other = await new Browser().init();
	await assert.rejects(other.open(posts[0].body));
});
await check("expired subscriptions go, others stay; one failure is one", async () => {
	const b = await new Browser().init();
	await c.call("push.web.subscribe", { endpoint: `${origin}/gone`,
		keys: b.keys() });
	await c.call("push.web.subscribe", { endpoint: `${origin}/busy`,
		keys: b.keys() });
	status = (url) => url === "/gone" ? 410 : url === "/busy" ? 503 : 201;
	const r = await c.call("push.web.test", {});
	assert.deepEqual(r.results.map((x) => [x.ok, x.statusCode]).sort(),
		[[false, 410], [false, 503], [true, 201]]);
	const again = await c.call("push.web.test", {});
	assert.equal(again.results.length, 2);
	await assert.rejects(c.call("push.web.preferences.get",
		{ endpoint: `${origin}/gone` }), /not bound to this device/);
});
await check("an endpoint in the own network is refused without leave", async () => {
	const strict = await new Gateway({ config: conf({}) }).start();
	const { c: s } = await entered(strict, { device: new Device(),
		scopes: ["operator.read", "operator.write"] });
	await s.call("push.web.subscribe", { endpoint: `${origin}/a`,
		keys: browser.keys() });
	posts.length = 0;
	const f = await s.request("push.web.test", {});
	assert.equal(f.error.code, "UNAVAILABLE");
	assert.match(f.error.details.results[0].error, /not a public address/);
	assert.equal(posts.length, 0);
});
await check("preferences: set and read", async () => {
	const p = { enabled: true, label: "Desk",
		categories: { agentFinished: true }, quietHours: { enabled: true,
			startMinute: 1, endMinute: 2, timeZone: "UTC" } };
	const r = await c.call("push.web.preferences.set", {
		endpoint: `${origin}/a`, scope: "device", preferences: p });
	assert.deepEqual(r, { scope: "device", preferences: p });
	const g = await c.call("push.web.preferences.get",
		{ endpoint: `${origin}/a` });
	assert.deepEqual(g.device, p);
	assert.equal(g.effective.categories.agentFinished, true);
});
/* What happens, as a browser hears of it. */

const told = async (n) => {
	const until = Date.now() + 60_000;
	while (posts.length < n) {
		assert.ok(Date.now() < until, `${posts.length} of ${n} messages`);
		await new Promise((r) => arrived = r);
	}
	const p = posts[n - 1];
	return { ...p, said: JSON.parse(await browser.open(p.body)) };
};
const SECRET = "plant-7f3a-never-told";
await check("an approval is told, waits, and is taken back", async () => {
	posts.length = 0;
	status = () => 201;
	await c.call("push.web.unsubscribe", { endpoint: `${origin}/busy` });
	await c.call("push.web.preferences.set", { endpoint: `${origin}/a`,
		scope: "device", preferences: { enabled: true, label: "Desk" } });
	const asker = (await operator(gw)).c;
	const waiting = asker.call("plugin.approval.request", { title: SECRET,
		description: SECRET, agentId: "main", timeoutMs: 60000 });
	const m = await told(1);
	const id = decodeURIComponent(m.said.url.replace(/^\/approve\//, ""));
	assert.equal(m.said.tag, `openclaw-approval-${id}`);
	assert.match(m.said.title, /^Desk: /);
	assert.equal(m.headers.urgency, "high");
	assert.match(m.headers.topic, /^[\w-]{32}$/);
	assert.ok(+m.headers.ttl <= 61);
	vapid(m.headers.authorization, origin, key);
	assert.ok(!JSON.stringify(m.said).includes(SECRET));
	assert.ok(!JSON.stringify(m.said).includes("main"), "private");
	await asker.call("approval.resolve", { id, kind: "plugin",
		decision: "allow-once" });
	assert.equal((await waiting).decision, "allow-once");
	const end = await told(2);
	assert.deepEqual([end.headers.topic, end.said.tag, end.said.url],
		[m.headers.topic, m.said.tag, m.said.url]);
	assert.notEqual(end.said.body, m.said.body);
});
await check("a question and the end of a run: the device's own wishes", async () => {
	posts.length = 0;
	await c.call("push.web.preferences.set", { endpoint: `${origin}/a`,
		scope: "device", preferences: { enabled: true, label: "",
			detailLevel: "identified", categories: { agentFinished: true,
				agentQuestion: true, approvalRequested: false } } });
	const op = (await operator(gw)).c;
	await op.call("question.request", { id: "q/1", agentId: "main",
		questions: [{ questionId: "q", header: "H", question: SECRET,
			options: [] }] });
	const q = await told(1);
	assert.equal(q.said.url, "/ask/q%2F1");
	assert.match(q.said.body, /^main: /);
	assert.ok(!JSON.stringify(q.said).includes(SECRET));
	await op.call("chat.send", { sessionKey: "main", message: SECRET,
		idempotencyKey: "run-1" });
	const run = await told(2);
	assert.match(run.said.tag, /agent-finished-run-1$/);
	assert.ok(!JSON.stringify(run.said).includes(SECRET));
	/* Switched off in the browser, and nobody is there: no route. */
	const r = await op.call("plugin.approval.request",
		{ title: "t", description: "d" });
	assert.equal(r.decision, null);
	assert.equal(posts.length, 2);
});
await check("push.web.unsubscribe: nothing is sent any more", async () => {
	for (const e of ["a"])
		assert.deepEqual(await c.call("push.web.unsubscribe",
			{ endpoint: `${origin}/${e}` }), { removed: true });
	await assert.rejects(c.call("push.web.test", {}),
		/no web push subscriptions registered/);
});
await check("AB-100 no key is in the log", () => {
	assert.ok(!gw.log.includes(browser.keys().auth));
	assert.ok(!gw.log.includes(browser.keys().p256dh));
});
await finish();
