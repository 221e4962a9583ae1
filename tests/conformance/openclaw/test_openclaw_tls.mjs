// SPDX-License-Identifier: MIT
// The openclaw command and its node host over wss:// with the certificate that
// chelad makes: the right fingerprint is let in, another is not.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Gateway, assert, atEnd, check, chela, finish, tempDir, within }
	from "./lib.mjs";

const gw = await new Gateway({ config: { gateway: { tls: { enabled: true } } } })
	.start();
const finger = (await gw.logged(/fingerprint (sha256:[0-9a-f]{64})/))[1];
const other = `sha256:${"0".repeat(64)}`;
const command = new URL("node_modules/openclaw/openclaw.mjs", import.meta.url).pathname;

// Starts the command in a home of its own; gives the child and what it says.
function openclaw(remote, ...args) {
	const home = tempDir("openclaw-tls");
	fs.writeFileSync(path.join(home, "openclaw.json"), JSON.stringify(
		remote ? { gateway: { mode: "remote", remote } } : {}), { mode: 0o600 });
	const child = spawn(process.execPath, [command, ...args], {
		env: { PATH: process.env.PATH, HOME: home, NO_COLOR: "1",
			OPENCLAW_STATE_DIR: path.join(home, "state"),
			OPENCLAW_CONFIG_PATH: path.join(home, "openclaw.json"),
			OPENCLAW_GATEWAY_TOKEN: gw.token },
		stdio: ["ignore", "pipe", "pipe"],
	});
	const r = { child, out: "" };
	for (const s of [child.stdout, child.stderr])
		s.setEncoding("utf8").on("data", (d) => { r.out += d; });
	r.end = new Promise((resolve) => child.on("close", resolve));
	r.said = (re) => within(new Promise((resolve) => {
		const look = () => re.test(r.out) && resolve(r.out);
		child.stdout.on("data", look);
		child.stderr.on("data", look);
		r.end.then(() => resolve(r.out));
		look();
	}), `output ${re}`, 90_000);
	atEnd(() => child.kill());
	return r;
}

const health = ["gateway", "call", "health", "--json"];

await check("openclaw gateway call health, its fingerprint configured", async () => {
	const r = openclaw({ url: gw.url, token: gw.token, tlsFingerprint: finger },
		...health);
	assert.equal(await within(r.end, "end", 90_000), 0, r.out);
	assert.match(r.out, /"ok": true/);
});
await check("openclaw gateway call health: another certificate is refused", async () => {
	const r = openclaw({ url: gw.url, token: gw.token, tlsFingerprint: other },
		...health);
	assert.notEqual(await within(r.end, "end", 90_000), 0, r.out);
	assert.match(r.out, /fingerprint mismatch/);
});

const node = ["node", "run", "--host", "127.0.0.1", "--port", String(gw.port),
	"--tls", "--tls-fingerprint"];

await check("openclaw node run --tls-fingerprint: another certificate", async () => {
	const r = openclaw(null, ...node, other);
	assert.match(await r.said(/fingerprint mismatch/), /fingerprint mismatch/);
	r.child.kill();
	await r.end;
});
await check("openclaw node run --tls-fingerprint: is there as a node", async () => {
	const r = openclaw(null, ...node, finger);
	const present = () => spawnSync(chela(), ["--url", gw.url, "--tls-fingerprint",
		finger, "call", "system-presence"], { encoding: "utf8", timeout: 20_000,
		env: { HOME: gw.dir, CHELA_TOKEN: gw.token } }).stdout;
	const end = Date.now() + 90_000;
	let seen = "";
	// Its start has no line that is a promise; its presence is.
	while (!/"mode": ?"node"/.test(seen) && Date.now() < end)
		seen = present();
	assert.match(seen, /"mode": ?"node"/, r.out.slice(-1500));
	assert.doesNotMatch(r.out, /mismatch/);
	r.child.kill();
	await r.end;
});
await finish();
