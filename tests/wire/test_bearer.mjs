// SPDX-License-Identifier: MIT
// Tokens of paired devices as bearers of plain HTTP requests (http 1), at a
// route of the plugin in tests/wire/trips.
import { Device, FAR_CONFIG, Gateway, assert, atEnd, check, entered, far,
	finish, operator, refused, within } from "./device.mjs";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

const top = fs.mkdtempSync(path.join(os.tmpdir(), "chela-trips-"));
atEnd(() => fs.rmSync(top, { recursive: true, force: true }));
fs.copyFileSync(`${process.env.CHELA_BUILD}/tests/wire/trips/.libs/trips.so`,
	`${top}/trips.so`);
fs.copyFileSync(`${process.env.CHELA_SOURCE}/tests/wire/trips/trips.json`,
	`${top}/trips.json`);
fs.chmodSync(`${top}/trips.so`, 0o755);
// What no route takes is the other plugin's, and not the console's.
const gw = await new Gateway({ config: { ...FAR_CONFIG,
	plugins: { entries: { console: { enabled: false } } } },
	args: ["--plugin-dir", top] }).start();
const ops = (await operator(gw)).c;

function ask(method, token, headers = {}) {
	return within(new Promise((ok, no) => {
		const rq = http.request({ port: gw.port, method, path: "/t/auth",
			headers: { Authorization: `Bearer ${token}`, ...headers } },
		(rs) => {
			let body = "";
			rs.setEncoding("utf8");
			rs.on("data", (d) => { body += d; });
			rs.on("end", () => ok({ status: rs.statusCode, body }));
		});
		rq.on("error", no);
		rq.end(method === "POST" ? "abc" : undefined);
	}), "HTTP answer");
}

// A device that was approved for these scopes from far away.
async function paired(scopes) {
	const device = new Device(), remote = { headers: far() };
	const no = await refused(gw, { device, scopes, ...remote });
	await ops.call("device.pair.approve", { requestId: no.details.requestId });
	const { auth } = await entered(gw, { device, scopes, ...remote });
	return { device, token: auth.deviceToken };
}

await check("a device's token has its own scopes, whatever else is asked for",
	async () => {
	const admin = await paired(["operator.admin"]);
	assert.deepEqual(await ask("GET", admin.token),
		{ status: 200, body: "admin" });
	const { token } = await paired(["operator.read"]);
	assert.deepEqual(await ask("GET", token), { status: 200, body: "read" });
	assert.deepEqual(await ask("GET", token,
		{ "x-openclaw-scopes": "operator.admin" }),
	{ status: 200, body: "read" });
	const no = await ask("POST", token);
	assert.equal(no.status, 403);
	assert.deepEqual(JSON.parse(no.body).error.details, {
		code: "MISSING_SCOPE", missingScope: "operator.write",
		requiredScopes: ["operator.write"] });
	assert.equal((await ask("GET", token, far())).status, 200);
});

await check("AB-061 a token that was rotated or revoked lets nobody in",
	async () => {
	const { device, token } = await paired(["operator.write"]);
	assert.equal((await ask("POST", token)).status, 200);
	await ops.call("device.token.revoke",
		{ deviceId: device.id, role: "operator" });
	assert.equal((await ask("POST", token)).status, 401);
	const other = await paired(["operator.write"]);
	await ops.call("device.token.rotate",
		{ deviceId: other.device.id, role: "operator" });
	assert.equal((await ask("POST", other.token)).status, 401);
	const third = await paired(["operator.write"]);
	await ops.call("device.pair.remove", { deviceId: third.device.id });
	assert.equal((await ask("POST", third.token)).status, 401);
});

await check("a token of a node is none, nor is a piece of one", async () => {
	const device = new Device();
	const { auth } = await entered(gw, { device, role: "node", scopes: [] });
	assert.equal(auth.deviceToken.length, 43);
	assert.equal((await ask("GET", auth.deviceToken)).status, 401);
	const { token } = await paired(["operator.read"]);
	for (const bad of [token.slice(1), token + "A", token.toLowerCase()])
		assert.equal((await ask("GET", bad)).status, 401);
	assert.equal((await ask("GET", token)).status, 200);
});

await check("AB-041 wrong ones from far away are counted, a device's is not",
	async () => {
	const { token } = await paired(["operator.read"]);
	let rs;
	for (let i = 0; i < 30; i++) {
		rs = await ask("GET", "x".repeat(43), far("203.0.113.9"));
		if (rs.status !== 401)
			break;
	}
	assert.equal(rs.status, 429);
	// Who is locked out is, whatever comes next; others are not.
	assert.equal((await ask("GET", token, far("203.0.113.9"))).status, 429);
	for (let i = 0; i < 30; i++)
		assert.equal((await ask("GET", token, far("203.0.113.10"))).status,
			200);
});

await finish();
