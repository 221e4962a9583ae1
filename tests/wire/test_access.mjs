// SPDX-License-Identifier: MIT
// Who may enter: wrong secrets, proxies, the tailnet, and what waits meanwhile.
import { Client, Device, FAR_CONFIG, Gateway, assert, atEnd, check, enter,
	entered, far, finish, operator, params, refused, within } from "./device.mjs";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";

const READ = ["operator.read"];
const deviceless = { scopes: [], client: { id: "test", mode: "test" } };
const wrong = (gw, ip, over = {}) => refused(gw,
	{ ...deviceless, token: "wrong", headers: far(ip), ...over });

await check("AB-041 ten wrong tokens, then the right one is not looked at",
	async () => {
	const gw = await new Gateway({ config: FAR_CONFIG }).start();
	const ip = "198.51.100.1";
	for (let i = 0; i < 100; i++) {
		const r = await refused(gw, { ...deviceless, auth: {},
			headers: far(ip) });
		assert.equal(r.details.code, "DEVICE_IDENTITY_REQUIRED");
	}
	for (let i = 0; i < 9; i++)
		assert.equal((await wrong(gw, ip)).details.code,
			"AUTH_TOKEN_MISMATCH");
	// A right one forgives.
	await entered(gw, { ...deviceless, headers: far(ip) });
	for (let i = 0; i < 10; i++)
		assert.equal((await wrong(gw, ip)).details.code,
			"AUTH_TOKEN_MISMATCH");
	const r = await refused(gw, { ...deviceless, headers: far(ip) });
	assert.equal(r.details.code, "AUTH_RATE_LIMITED");
	assert.equal(r.details.recommendedNextStep, "wait_then_retry");
	assert.equal(r.error.retryable, true);
	assert.ok(r.error.retryAfterMs > 290_000 && r.error.retryAfterMs <= 300_001);
	// Others are not meant, and neither is another class.
	await entered(gw, { ...deviceless, headers: far("198.51.100.2") });
	const d = new Device();
	const { auth } = await entered(gw, { device: d, scopes: READ });
	await entered(gw, { device: d, scopes: READ, headers: far(ip),
		auth: { deviceToken: auth.deviceToken } });
	// IPv6 counts by its first 64 bits.
	for (let i = 0; i < 10; i++)
		await wrong(gw, `2001:db8::${i + 1}`);
	assert.equal((await refused(gw, { ...deviceless,
		headers: far("2001:db8::ffff") })).details.code, "AUTH_RATE_LIMITED");
	await entered(gw, { ...deviceless, headers: far("2001:db8:0:1::1") });
	await gw.stop();
});

await check("AB-042 a device token beside it hides no guess", async () => {
	const gw = await new Gateway({ config: FAR_CONFIG }).start();
	const d = new Device();
	const good = (await entered(gw, { device: d, scopes: READ })).auth;
	const guess = (ip, auth) => enter(gw, { device: d, scopes: READ,
		headers: far(ip), auth }).then(({ c }) => c.end());
	for (let i = 0; i < 4; i++) {
		await guess("198.51.100.1", { token: `g${i}`, deviceToken: "" });
		await guess("198.51.100.1", { token: `h${i}`,
			deviceToken: good.deviceToken });
		await guess("198.51.100.1", { token: `i${i}`, deviceToken: "x" });
	}
	assert.equal((await refused(gw, { ...deviceless,
		headers: far("198.51.100.1") })).details.code, "AUTH_RATE_LIMITED");
	await gw.stop();
});

await check("AB-043 a burst: no more than the limit are looked at", async () => {
	const gw = await new Gateway({ config: FAR_CONFIG }).start();
	const all = await Promise.all(Array.from({ length: 30 }, (_, i) =>
		enter(gw, { ...deviceless, token: `guess ${i}`, headers: far() })));
	const codes = all.map((r) => r.res.error.details.code);
	assert.equal(codes.filter((c) => c === "AUTH_TOKEN_MISMATCH").length, 10);
	assert.equal(codes.filter((c) => c === "AUTH_RATE_LIMITED").length, 20);
	all.forEach((r) => r.c.end());
	await gw.stop();
});

await check("on this machine a wrong secret is answered later each time",
	async () => {
	const gw = await new Gateway().start();
	const took = async () => {
		const t = process.hrtime.bigint();
		await refused(gw, { ...deviceless, token: "wrong" });
		return Number(process.hrtime.bigint() - t) / 1e6;
	};
	for (const ms of [250, 500, 1000]) {
		const t = await took();
		assert.ok(t > ms - 30 && t < ms + 5000, `${t} for ${ms}`);
	}
	// Together they wait once: apart, these would take 2, 4 and 5 s. The
	// loop serves others meanwhile.
	let settled = false;
	const both = Promise.all([took(), took(), took()]).finally(() => {
		settled = true;
	});
	await operator(gw);
	assert.ok(!settled);
	const times = await both;
	assert.ok(Math.min(...times) > 1900);
	assert.ok(Math.max(...times) - Math.min(...times) < 1500, times.join());
	await gw.stop();
});

await check("AB-032 AB-034 a page guesses: its origin is locked out, others not",
	async () => {
	const gw = await new Gateway().start();
	const headers = { Origin: "http://localhost:8080" };
	for (let i = 0; i < 10; i++)
		assert.equal((await refused(gw, { ...deviceless, token: `g${i}`,
			headers })).details.code, "AUTH_TOKEN_MISMATCH");
	const r = await refused(gw, { ...deviceless, headers });
	assert.equal(r.details.code, "AUTH_RATE_LIMITED");
	await entered(gw, { ...deviceless,
		headers: { Origin: "http://localhost:9090" } });
	await operator(gw);
	// Foreign pages do not come as far as a guess.
	const evil = await refused(gw, { ...deviceless,
		headers: { Origin: "http://evil.example" } });
	assert.equal(evil.details.code, "CONTROL_UI_ORIGIN_NOT_ALLOWED");
	await gw.stop();
});

await check("frames behind a waiting connect: fifteen, in order, then the end",
	async () => {
	const gw = await new Gateway().start();
	const start = async (n) => {
		const c = new Client(gw);
		await c.opened;
		const challenge = await c.event("connect.challenge");
		// A new device waits for the disk; the rest comes in one segment.
		const p = new Device().prove(params({ token: gw.token }), challenge);
		c.socket.cork();
		c.send({ type: "req", id: "c", method: "connect", params: p });
		for (let i = 0; i < n; i++)
			c.send({ type: "req", id: `q${i}`, method: "device.pair.list",
				params: {} });
		c.socket.uncork();
		return c;
	};
	const c = await start(15);
	await c.seen([], (m) => m.id === "q14", "the last answer");
	assert.deepEqual([...c.answers.keys()],
		["c", ...Array.from({ length: 15 }, (_, i) => `q${i}`)]);
	assert.ok([...c.answers.values()].every((m) => m.ok));
	const d = await start(16);
	assert.deepEqual(await within(d.closed, "close"),
		{ code: 1008, reason: "too many pending handshake frames" });
	c.end();
	await gw.stop();
});

await check("a client that leaves while its answer waits", async () => {
	const gw = await new Gateway().start();
	for (let i = 0; i < 20; i++) {
		const c = new Client(gw);
		await c.opened;
		const challenge = await c.event("connect.challenge");
		const p = i % 2 ? new Device().prove(params({ token: gw.token }),
			challenge) : params({ token: "wrong", scopes: [] });
		c.send({ type: "req", id: "c", method: "connect", params: p });
		c.end();
	}
	await operator(gw);
	await gw.stop();
});

await check("AB-035 headers of a proxy that nobody knows", async () => {
	const gw = await new Gateway().start();
	for (const headers of [{ Forwarded: "for=127.0.0.1" },
		{ "X-Forwarded-For": "127.0.0.1" }, { "X-Real-IP": "127.0.0.1" },
		{ "X-Forwarded-Anything": "1" },
		{ "Tailscale-User-Login": "a@b" }]) {
		const c = new Client(gw, { headers });
		const e = await within(c.opened.then(() => null, (x) => x), "answer");
		assert.equal(e?.status, 403);
		assert.equal(JSON.parse(e.body).error.type,
			"proxy_attribution_required");
	}
	await gw.stop();
});

await check("AB-036 chains: the rightmost that is not ours, or nobody",
	async () => {
	const gw = await new Gateway({ config: { gateway: {
		trustedProxies: ["127.0.0.1", "10.0.0.0/8", "fd00::/8"] } } }).start();
	const ops = (await operator(gw)).c;
	const seen = async (chain) => {
		const d = new Device();
		const headers = { "X-Forwarded-For": chain };
		const c = new Client(gw, { headers });
		const e = await within(c.opened.then(() => null, (x) => x), "answer");
		c.end();
		if (e)
			return e.status;
		await refused(gw, { device: d, scopes: READ, headers });
		return (await ops.call("device.pair.list")).pending
			.find((r) => r.deviceId === d.id).remoteIp;
	};
	assert.equal(await seen("203.0.113.9"), "203.0.113.9");
	assert.equal(await seen("1.2.3.4, 203.0.113.9"), "203.0.113.9");
	assert.equal(await seen("127.0.0.1, 203.0.113.9, 10.1.2.3"),
		"203.0.113.9");
	assert.equal(await seen("203.0.113.9:5555, 127.0.0.1"), "203.0.113.9");
	assert.equal(await seen("[2001:db8::1]:443"), "2001:db8::1");
	assert.equal(await seen("::ffff:203.0.113.9"), "203.0.113.9");
	for (const bad of ["127.0.0.1", "10.0.0.1, 127.0.0.1", "garbage",
		"203.0.113.9, garbage", "fe80::1%eth0", "", "203.0.113.9,",
		"1.2.3.4:", "1.2.3.4:x", "[::1", "203.0.113.9;1.2.3.4"])
		assert.equal(await seen(bad), 403, bad);
	// A thousand hops do not even fit into a head.
	assert.equal(await seen(Array(1000).fill("10.0.0.1").join(",")), 431);
	await gw.stop();
});

await check("AB-037 AB-038 trusted-proxy: checks in order, scopes capped",
	async () => {
	const config = { gateway: { trustedProxies: ["127.0.0.1"], auth: {
		mode: "trusted-proxy", password: "the way round",
		identityScopes: { "Ann@x.example": ["operator.write"] },
		trustedProxy: { userHeader: "X-User", requiredHeaders: ["X-Sso"],
			allowUsers: ["ann@x.example", "bob"], allowLoopback: true } } } };
	const gw = await new Gateway({ config, token: "" }).start();
	const from = (over) => ({ "X-Forwarded-For": "198.51.100.7",
		"X-Sso": "1", "X-User": "ann@x.example", ...over });
	const reason = async (headers) => (await refused(gw, { ...deviceless,
		auth: {}, headers })).details;
	assert.equal((await reason(from({ "X-Sso": " " }))).authReason,
		"trusted_proxy_missing_header_x-sso");
	assert.equal((await reason(from({ "X-Sso": " " }))).code,
		"AUTH_IDENTITY_HEADER_REQUIRED");
	assert.equal((await reason(from({ "X-User": "" }))).authReason,
		"trusted_proxy_user_missing");
	assert.equal((await reason(from({ "X-User": ["ann@x.example", "bob"] })))
		.authReason, "trusted_proxy_user_missing");
	assert.equal((await reason(from({ "X-User": "eve" }))).authReason,
		"trusted_proxy_user_not_allowed");
	const scopes = async (headers) => (await entered(gw, { ...deviceless,
		scopes: ["operator.admin"], auth: {}, headers })).auth.scopes;
	assert.deepEqual(await scopes(from({})), ["operator.write"]);
	assert.deepEqual(await scopes(from({ "X-OpenClaw-Scopes": "" })), []);
	assert.deepEqual(await scopes(from({
		"X-OpenClaw-Scopes": "operator.read" })), []);
	assert.deepEqual(await scopes(from({
		"X-OpenClaw-Scopes": "operator.admin, operator.read" })),
		["operator.write"]);
	assert.deepEqual(await scopes(from({ "X-User": "bob" })), []);
	// A device behind it is paired, and gets no token.
	const d = new Device();
	const no = await refused(gw, { device: d, scopes: READ, auth: {},
		headers: from({}) });
	assert.equal(no.details.code, "PAIRING_REQUIRED");
	// On the machine itself the password is a way in.
	const { c } = await operator(gw, ["operator.admin"],
		{ auth: { password: "the way round" } });
	await c.call("device.pair.approve", { requestId: no.details.requestId });
	const { auth } = await entered(gw, { device: d, scopes: READ, auth: {},
		headers: from({}) });
	assert.ok(!("deviceToken" in auth));
	await gw.stop();
	const strict = structuredClone(config);
	strict.gateway.auth.trustedProxy.allowLoopback = false;
	const g2 = await new Gateway({ config: strict, token: "" }).start();
	assert.equal((await refused(g2, { ...deviceless, auth: {},
		headers: from({}) })).details.authReason,
		"trusted_proxy_loopback_source");
	await g2.stop();
	const bad = new Gateway({ config, token: "both" });
	await assert.rejects(bad.start(), /a token is set/);
});

await check("AB-052 deviceAutoApprove: pages of the proxy's users, no more",
	async () => {
	const auth = (deviceAutoApprove) => ({ gateway: {
		trustedProxies: ["127.0.0.1"],
		controlUi: { allowedOrigins: ["https://ui.example"] },
		auth: { mode: "trusted-proxy", password: "the way round",
			trustedProxy: { userHeader: "X-User", allowLoopback: true,
				...(deviceAutoApprove ? { deviceAutoApprove } : {}) } } } });
	const headers = { "X-Forwarded-For": "198.51.100.7", "X-User": "ann",
		Origin: "https://ui.example" };
	const ui = { client: { id: "openclaw-control-ui", mode: "webchat" },
		auth: {}, headers };
	const waits = async (gw, over) => assert.equal((await refused(gw,
		{ device: new Device(), scopes: READ, ...ui, ...over })).details.code,
		"PAIRING_REQUIRED");
	const off = await new Gateway({ config: auth(), token: "" }).start();
	await waits(off);
	await off.stop();

	const gw = await new Gateway({ config: auth({ enabled: true }),
		token: "" }).start();
	const d = new Device();
	const one = await entered(gw, { device: d, ...ui,
		scopes: ["operator.read", "operator.admin"] });
	assert.deepEqual(one.auth.scopes, ["operator.read",
		"operator.questions"]);
	assert.ok(!("deviceToken" in one.auth));
	// The same key may widen within the bounds, another one may not.
	assert.deepEqual((await entered(gw, { device: d, ...ui,
		scopes: ["operator.write"] })).auth.scopes, ["operator.write",
		"operator.questions"]);
	assert.deepEqual((await entered(gw, { device: new Device(), ...ui,
		scopes: [] })).auth.scopes, ["operator.read", "operator.write",
		"operator.approvals", "operator.questions"]);
	assert.deepEqual((await entered(gw, { device: new Device(), ...ui,
		scopes: ["operator.write"], headers: { ...headers,
			"X-OpenClaw-Scopes": "operator.read" } })).auth.scopes, []);
	// Not a page, not an operator, not through the proxy.
	const { Origin: _, ...plain } = headers;
	await waits(gw, { client: { id: "cli", mode: "cli" }, headers: plain });
	await waits(gw, { role: "node", scopes: [],
		client: { id: "node-host", mode: "node" } });
	const { c } = await operator(gw, ["operator.admin"],
		{ auth: { password: "the way round" } });
	const list = (await c.call("device.pair.list")).paired;
	assert.equal(list.find((r) => r.deviceId === d.id).approvedVia,
		"trusted-proxy");
	assert.ok(list.every((r) => !r.scopes.includes("operator.admin")));
	await gw.logged(/needs no approval \(trusted-proxy\) user=["']?ann/);
	await gw.stop();

	const some = await new Gateway({ config: auth({ enabled: true,
		scopes: ["operator.read"] }), token: "" }).start();
	assert.deepEqual((await entered(some, { device: new Device(), ...ui,
		scopes: ["operator.read", "operator.write"] })).auth.scopes,
		["operator.read"]);
	await some.stop();
});

// tailscaled as far as whois goes: what it answers is by address.
async function tailscaled(path, who) {
	const asked = [];
	const server = http.createServer((req, res) => {
		const u = new URL(req.url, "http://local");
		const ip = u.searchParams.get("addr").replace(/:1$/, "")
			.replace(/^\[|\]$/g, "");
		asked.push([u.pathname, req.headers.host, ip]);
		const login = who[ip];
		if (login === "silence")
			return;
		if (login === undefined) {
			res.statusCode = 404;
			res.end("no match for IP:port\n");
			return;
		}
		res.setHeader("Content-Type", "application/json");
		const text = JSON.stringify({ Node: { ID: 1, Name: "n.ts.net." },
			UserProfile: { ID: 2, LoginName: login, DisplayName: "A",
				ProfilePicURL: "" }, CapMap: null });
		// In pieces, as a server that does not know the length sends it.
		res.write(text.slice(0, 40));
		res.end(text.slice(40));
	});
	server.listen(path);
	await new Promise((ok) => server.on("listening", ok));
	atEnd(() => { server.closeAllConnections(); server.close(); });
	return asked;
}

await check("AB-040 the tailnet's word counts on its own listener alone",
	async () => {
	const gw = new Gateway();
	const sock = `${gw.dir}/tailscaled.sock`;
	const asked = await tailscaled(sock, { "100.64.0.1": "Ann@Example.com",
		"100.64.0.2": "eve@example.com", "100.64.0.3": "silence",
		"100.64.0.5": "tagged-devices" });
	gw.config = { gateway: { tailscale: { mode: "serve", socket: sock },
		controlUi: { allowedOrigins: ["https://n.ts.net"] } } };
	await gw.start();
	const m = await gw.logged(/expected on http:\/\/127.0.0.1:(\d+)/);
	const serve = Number(m[1]);
	const ui = (ip, login, over = {}) => ({ port: serve, auth: {},
		client: { id: "openclaw-control-ui", mode: "webchat" },
		device: new Device(), headers: { Host: "n.ts.net",
			Origin: "https://n.ts.net", "X-Forwarded-For": ip,
			"X-Forwarded-Proto": "https", "X-Forwarded-Host": "n.ts.net",
			...(login ? { "Tailscale-User-Login": login } : {}) }, ...over });
	const { auth } = await entered(gw, ui("100.64.0.1", "ann@example.com"));
	assert.deepEqual(auth.scopes, ["operator.admin"]);
	assert.ok(!("deviceToken" in auth));
	assert.deepEqual(asked[0], ["/localapi/v0/whois",
		"local-tailscaled.sock", "100.64.0.1"]);
	// Remembered.
	await entered(gw, ui("100.64.0.1", "ANN@example.com"));
	assert.equal(asked.length, 1);
	for (const [ip, login] of [["100.64.0.2", "ann@example.com"],
		["100.64.0.4", "ann@example.com"],
		["100.64.0.5", "tagged-devices"], ["100.64.0.1", ""]]) {
		const r = await refused(gw, ui(ip, login));
		assert.equal(r.details.code, "AUTH_TOKEN_MISSING", ip);
	}
	// Another client, and one with a secret of its own, are not meant.
	const cli = await refused(gw, ui("100.64.0.1", "ann@example.com",
		{ client: { id: "cli", mode: "cli" } }));
	assert.equal(cli.details.code, "AUTH_TOKEN_MISSING");
	// No word on the ordinary listener, and none from a funnel.
	for (const opts of [ui("100.64.0.1", "ann@example.com", { port: gw.port }),
		(() => { const o = ui("100.64.0.1", "ann@example.com");
			o.headers["Tailscale-Funnel-Request"] = "?1"; return o; })(),
		(() => { const o = ui("100.64.0.1", "ann@example.com");
			delete o.headers["X-Forwarded-Host"]; return o; })()]) {
		const c = new Client(gw, opts);
		const e = await within(c.opened.then(() => null, (x) => x), "answer");
		assert.equal(e?.status, 403);
	}
	// Silence holds up nobody else, and ends in the shared secret.
	let settled = false;
	const slow = refused(gw, ui("100.64.0.3", "ann@example.com"))
		.finally(() => { settled = true; });
	await operator(gw);
	assert.ok(!settled);
	assert.equal((await slow).details.code, "AUTH_TOKEN_MISSING");
	await gw.stop();
});

await check("AB-061 a new secret in the file: the old one's sockets close",
	async () => {
	const config = (token) => ({ gateway: { auth: { token },
		reload: { debounceMs: 0 } } });
	const gw = await new Gateway({ config: config("first secret"), token: "" })
		.start();
	const d = new Device();
	const a = await operator(gw, ["operator.admin"],
		{ auth: { token: "first secret" } });
	const b = await entered(gw, { device: d, auth: { token: "first secret" } });
	const c = await entered(gw, { device: d,
		auth: { deviceToken: b.auth.deviceToken } });
	const page = { device: new Device(), headers: {
		Origin: `http://localhost:${gw.port}` },
		client: { id: "openclaw-control-ui", mode: "webchat" } };
	const p = await entered(gw, { ...page, auth: { token: "first secret" } });
	gw.writeConfig(config("second secret"));
	for (const x of [a, b, p])
		assert.deepEqual(await within(x.c.closed, "close"),
			{ code: 4001, reason: "gateway auth changed" });
	// A device's own token is not of that secret; a page's is.
	assert.equal(c.c.close, undefined);
	await c.c.call("device.pair.list");
	const dead = await refused(gw, { ...page,
		auth: { deviceToken: p.auth.deviceToken } });
	assert.equal(dead.details.code, "AUTH_DEVICE_TOKEN_MISMATCH");
	const old = await refused(gw, { ...deviceless, token: "first secret" });
	assert.equal(old.details.code, "AUTH_TOKEN_MISMATCH");
	await entered(gw, { ...deviceless, token: "second secret" });
	await gw.stop();
});

await check("AB-065 many ask; one more still gets in", async () => {
	const gw = await new Gateway({ config: FAR_CONFIG }).start();
	const ops = (await operator(gw)).c;
	const name = "\u202e\n" + "n".repeat(60_000);
	const ask = (ip, displayName) => refused(gw, { device: new Device(),
		scopes: READ, headers: far(ip), client: { id: "test", mode: "test",
			version: "1", platform: "linux",
			...(displayName ? { displayName } : {}) } });
	let limited = 0;
	for (let i = 0; i < 70; i++) {
		const r = await ask("203.0.113.5", name);
		if (r.details.code !== "PAIRING_REQUIRED") {
			assert.equal(r.error.code, "UNAVAILABLE");
			assert.equal(r.error.retryable, true);
			limited++;
		}
	}
	assert.equal(limited, 10);
	const list = await ops.call("device.pair.list");
	assert.equal(list.pending.length, 32);
	for (const r of list.pending)
		assert.ok(Buffer.byteLength(r.displayName) <= 256);
	for (let i = 0; i < 300; i++)
		await ask(`203.0.${113 + (i >> 3)}.${i & 7}`);
	assert.ok((await ops.call("device.pair.list")).pending.length <= 256);
	const d = new Device();
	const real = await refused(gw, { device: d, scopes: READ, ...{
		headers: far("192.0.2.1") } });
	await ops.call("device.pair.approve",
		{ requestId: real.details.requestId });
	await gw.stop();
});

await check("AB-039 AB-050 an address and a query grant nothing", async () => {
	const gw = await new Gateway().start();
	await operator(gw);
	const c = new Client(gw);
	await c.opened;
	c.end();
	const secret = gw.token;
	const probe = async (headers) => (await (await fetch(
		`http://127.0.0.1:${gw.port}/ready`, { headers })).json());
	assert.ok("uptimeMs" in await probe({}));
	assert.ok(!("uptimeMs" in await probe({ "X-Forwarded-For": "1.2.3.4" })));
	const res = await fetch(`http://127.0.0.1:${gw.port}` +
		`/control-ui-config.json?token=${secret}`);
	assert.equal(res.status, 401);
	await res.text();
	const r = await refused(gw, { ...deviceless, auth: {} });
	assert.equal(r.details.code, "DEVICE_IDENTITY_REQUIRED");
	await gw.stop();
	assert.ok(!gw.log.includes(secret));
	const logs = `${gw.stateDir}/logs`;
	for (const f of fs.readdirSync(logs))
		assert.ok(!fs.readFileSync(`${logs}/${f}`).includes(secret));
});

await check("AB-033 no route lets a foreign page change or read anything",
	async () => {
	const gw = await new Gateway().start();
	for (const route of ["/", "/health", "/ready", "/startup", "/api/x",
		"/hooks/x", "/v1/models"]) {
		for (const method of ["POST", "OPTIONS", "PUT", "DELETE"]) {
			const res = await fetch(`http://127.0.0.1:${gw.port}${route}`, {
				method, headers: { Origin: "http://evil.example",
					"Content-Type": "text/plain",
					"Access-Control-Request-Method": "POST" },
				...(method === "POST" ? { body: "" } : {}) });
			await res.text();
			assert.ok(res.status >= 400, `${method} ${route} ${res.status}`);
			for (const [name] of res.headers)
				assert.ok(!name.startsWith("access-control-"), name);
		}
	}
	await gw.stop();
});

await check("AB-047 a node that calls what is not for it is closed",
	async () => {
	const gw = await new Gateway().start();
	const { c } = await entered(gw, { device: new Device(), role: "node",
		scopes: [] });
	for (let i = 0; i < 11; i++)
		await assert.rejects(c.call("sessions.list"),
			/unauthorized role: node/);
	assert.deepEqual(await within(c.closed, "close"),
		{ code: 1008, reason: "repeated unauthorized calls" });
	await gw.stop();
});

await check("AB-063 pairing is told to those who may pair", async () => {
	const gw = await new Gateway({ config: FAR_CONFIG }).start();
	const may = [["operator.admin"], ["operator.pairing"]];
	const not = [["operator.read"], ["operator.write", "operator.approvals"], []];
	const open = async (sets) => Promise.all(sets.map(
		async (scopes) => (await operator(gw, scopes)).c));
	const yes = await open(may), no = await open(not);
	no.push((await entered(gw, { device: new Device(), role: "node",
		scopes: [] })).c);
	const d = new Device();
	await refused(gw, { device: d, scopes: READ, headers: far() });
	for (const c of yes)
		await c.event("device.pair.requested", (p) => p.deviceId === d.id);
	// An answer comes behind all that was sent before.
	for (const c of no) {
		await c.call("health");
		assert.ok(!c.events.some((e) => e.event.startsWith("device.")));
		const seqs = c.events.map((e) => e.seq).filter((n) => n !== undefined);
		assert.deepEqual(seqs, seqs.map((_, i) => seqs[0] + i));
	}
	await gw.stop();
});

await check("AB-046 secrets that are none", async () => {
	for (const token of ["  ", "undefined", "null", "changeme"])
		await assert.rejects(new Gateway({ token }).start(),
			/cannot be used/, token);
	await assert.rejects(new Gateway({ token: "", config: { gateway: {
		auth: { mode: "none" }, bind: "lan" } } }).start(), /listens on/);
});

await check("AB-046 the secret is kept in a file, which is the gateway's alone",
	async () => {
	const gw = new Gateway({ token: "" });
	const file = `${gw.dir}/secrets.json`;
	const put = (o, mode = 0o600) => {
		fs.writeFileSync(`${file}.new`, JSON.stringify(o), { mode });
		fs.chmodSync(`${file}.new`, mode);
		fs.renameSync(`${file}.new`, file);
	};
	const ref = (id) => ({ gateway: { auth: { token:
		{ source: "file", provider: "own", id } } },
		secrets: { providers: { own: { source: "file", path: file } } } });
	const starts = (config, why) => assert.rejects(
		new Gateway({ config, token: "", dir: gw.dir }).start(), why);
	put({ gateway: { a: "first secret", b: "second secret" } });
	await starts(ref("/gateway/c"), /it is not there/);
	await starts({ ...ref("/gateway/a"), secrets: {} }, /no such file/);
	fs.writeFileSync(file, "{");
	await starts(ref("/gateway/a"), /not JSON/);
	put({ gateway: { a: "first secret" } }, 0o640);
	await starts(ref("/gateway/a"), /the gateway's alone/);
	fs.rmSync(file);
	fs.symlinkSync("/dev/null", file);
	await starts(ref("/gateway/a"), /the gateway's alone/);
	put({ gateway: { a: " " } });
	await starts(ref("/gateway/a"), /it is blank/);
	put({ gateway: { a: "first secret", b: "second secret" } });
	gw.config = ref("/gateway/a");
	await gw.start();
	const one = (await entered(gw, { ...deviceless,
		auth: { token: "first secret" } })).c;
	gw.writeConfig(ref("/gateway/b"));
	gw.child.kill("SIGHUP");
	assert.deepEqual(await within(one.closed, "close"),
		{ code: 4001, reason: "gateway auth changed" });
	await refused(gw, { ...deviceless, auth: { token: "first secret" } });
	const two = (await entered(gw, { ...deviceless,
		auth: { token: "second secret" } })).c;
	// What cannot be read changes nothing.
	gw.writeConfig(ref("/gateway/none"));
	gw.child.kill("SIGHUP");
	await gw.logged(/gateway.auth.token cannot be had \(it is not there\)/);
	await two.call("health");
	assert.ok(!/(first|second) secret/.test(gw.log));
	await gw.stop();
});

await check("AB-046 a command knows the secret, within its limits", async () => {
	const gw = new Gateway({ token: "" });
	const command = `${gw.dir}/ask`;
	const put = (script, mode = 0o700) => {
		fs.writeFileSync(command, `#!/bin/sh\n${script}\n`);
		fs.chmodSync(command, mode);
	};
	const ref = (more = {}, id = "gw/token") => ({ gateway: { auth: { token:
		{ source: "exec", provider: "own", id } } }, secrets: { providers:
		{ own: { source: "exec", command, ...more } } } });
	const starts = (config, why) => assert.rejects(
		new Gateway({ config, token: "", dir: gw.dir }).start(), why);
	const answer = `read q; printf '%s' "$q" > ${gw.dir}/question; ` +
		`env > ${gw.dir}/env; ls /proc/self/fd > ${gw.dir}/fds; echo '{"protocolVersion":1,"values":` +
		`{"gw/token":"what it knows"}}'`;
	put(answer, 0o720);
	await starts(ref(), /others may change the command/);
	put(answer);
	await starts(ref({ trustedDirs: ["/usr"] }), /trustedDirs/);
	await starts(ref({}, "another"), /it is not there/);
	await starts({ ...ref(), secrets: {} }, /no such command/);
	put("echo what it knows");
	await starts(ref(), /answer cannot be read/);
	put("exit 3");
	await starts(ref(), /the command failed/);
	put("sleep 100");
	await starts(ref({ timeoutMs: 300 }), /took too long/);
	put("yes");
	await starts(ref({ maxOutputBytes: 10_000 }), /too large/);
	put("echo what it knows");
	const line = await new Gateway({ config: ref({ jsonOnly: false }),
		token: "", dir: gw.dir }).start();
	await entered(line, { ...deviceless, auth: { token: "what it knows" } });
	await line.stop();
	put(answer);
	gw.config = ref({ trustedDirs: [gw.dir], env: { A: "b" },
		args: ["x"] });
	gw.env = { NOT_FOR_IT: "1" };
	await gw.start();
	await entered(gw, { ...deviceless, auth: { token: "what it knows" } });
	await refused(gw, { ...deviceless, auth: { token: "guess" } });
	assert.deepEqual(JSON.parse(fs.readFileSync(`${gw.dir}/question`)),
		{ protocolVersion: 1, provider: "own", ids: ["gw/token"] });
	const env = fs.readFileSync(`${gw.dir}/env`, "utf8");
	assert.match(env, /^A=b$/m);
	assert.ok(!/NOT_FOR_IT|HOME=/.test(env));
	// Its own three, and the folder that ls looks at.
	assert.equal(fs.readFileSync(`${gw.dir}/fds`, "utf8"), "0\n1\n2\n3\n");
	assert.ok(!gw.log.includes("what it knows"));
	await gw.stop();
});

await check("mode none serves nobody from a public funnel", async () => {
	const gw = await new Gateway({ token: "", config: { gateway: {
		auth: { mode: "none" }, trustedProxies: ["127.0.0.1"] } } }).start();
	const r = await refused(gw, { ...deviceless, auth: {}, headers: { ...far(),
		"Tailscale-Funnel-Request": "?1" } });
	assert.equal(r.details.authReason, "gateway_auth_required");
	await entered(gw, { ...deviceless, auth: {}, headers: far() });
	await gw.stop();
});

await check("mode none: a console with a device is in at once", async () => {
	const gw = await new Gateway({ token: "", config: { gateway: {
		auth: { mode: "none" } } } }).start();
	const { auth } = await entered(gw, { device: new Device(), auth: {},
		client: { id: "openclaw-control-ui", mode: "webchat" },
		headers: { Origin: `http://localhost:${gw.port}` } });
	assert.deepEqual(auth.scopes, ["operator.admin"]);
	await gw.stop();
});

await finish();
