// SPDX-License-Identifier: MIT
// The openclaw command, unchanged, with a configuration that names chelad as its
// remote gateway: what its user sees.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Gateway, ModelServer, assert, check, finish, tempDir, within }
	from "./lib.mjs";

const model = await new ModelServer().start();
const gw = await new Gateway({ config: model.config() }).start();
const home = tempDir("openclaw");
fs.writeFileSync(path.join(home, "openclaw.json"), JSON.stringify({
	gateway: { mode: "remote", remote: { url: gw.url, token: gw.token } },
}), { mode: 0o600 });
const command = new URL("node_modules/openclaw/openclaw.mjs", import.meta.url).pathname;

// Runs the command; gives its exit status and both outputs.
async function openclaw(...args) {
	const child = spawn(process.execPath, [command, ...args], {
		env: { PATH: process.env.PATH, HOME: home, NO_COLOR: "1",
			OPENCLAW_STATE_DIR: path.join(home, "state"),
			OPENCLAW_CONFIG_PATH: path.join(home, "openclaw.json") },
		stdio: ["ignore", "pipe", "pipe"],
	});
	let out = "";
	let err = "";
	child.stdout.setEncoding("utf8").on("data", (d) => { out += d; });
	child.stderr.setEncoding("utf8").on("data", (d) => { err += d; });
	const code = await within(new Promise((r) => child.on("close", r)),
		`end of openclaw ${args.join(" ")}`, 90_000);
	return { code, out, err, all: `${out}\n${err}` };
}

const direct = ["--url", gw.url, "--token", gw.token];

function json(r) {
	assert.equal(r.code, 0, r.all.slice(-1500));
	const at = r.out.search(/^[[{]/m);
	assert.ok(at >= 0, `no JSON in ${r.all.slice(0, 500)}`);
	return JSON.parse(r.out.slice(at));
}

await check("openclaw gateway call health", async () => {
	const h = json(await openclaw("gateway", "call", "health", "--json", ...direct));
	assert.equal(h.ok, true);
});
await check("openclaw gateway health", async () => {
	const r = await openclaw("gateway", "health", ...direct);
	assert.equal(r.code, 0, r.all);
});
await check("openclaw gateway status says that it is reachable", async () => {
	const r = await openclaw("gateway", "status", "--json", "--require-rpc", ...direct);
	const s = json(r);
	assert.equal(s.rpc?.ok, true, JSON.stringify(s).slice(0, 800));
});
await check("openclaw gateway probe", async () => {
	const r = await openclaw("gateway", "probe", "--json", ...direct);
	const s = json(r);
	assert.equal(s.ok, true, JSON.stringify(s).slice(0, 800));
});
await check("openclaw gateway call: an unknown method exits 1 with its name", async () => {
	const r = await openclaw("gateway", "call", "no.such", ...direct);
	assert.equal(r.code, 1);
	assert.match(r.all, /unknown method: no\.such/);
});
await check("openclaw gateway call: bad params exit 1 with the reason", async () => {
	const r = await openclaw("gateway", "call", "chat.history", "--params",
		'{"sessionKey":1}', ...direct);
	assert.equal(r.code, 1);
	assert.match(r.all, /invalid chat\.history params/);
});
await check("openclaw gateway call: a wrong token exits 1", async () => {
	const r = await openclaw("gateway", "call", "health", "--url", gw.url,
		"--token", "wrong");
	assert.equal(r.code, 1);
	assert.match(r.all, /token/);
});
await check("openclaw gateway call config.get", async () => {
	const c = json(await openclaw("gateway", "call", "config.get", "--json", ...direct));
	assert.equal(typeof c.hash, "string");
});
await check("openclaw gateway call system-presence", async () => {
	const p = json(await openclaw("gateway", "call", "system-presence", "--json",
		...direct));
	assert.ok(Array.isArray(p));
});
await check("openclaw health", async () => {
	const r = await openclaw("health", "--json");
	assert.equal(json(r).ok, true);
});
await check("openclaw status", async () => {
	const r = await openclaw("status", "--json");
	assert.equal(r.code, 0, r.all.slice(-1500));
});
await check("openclaw logs", async () => {
	const r = await openclaw("logs", "--limit", "5", "--plain", ...direct);
	assert.equal(r.code, 0, r.all.slice(-1500));
});
await check("openclaw models list shows the gateway's model", async () => {
	const r = await openclaw("models", "list", "--json");
	assert.equal(r.code, 0, r.all.slice(-1500));
	assert.match(r.out, /parrot/);
});
await check("openclaw channels status", async () => {
	const r = await openclaw("channels", "status", "--json");
	assert.equal(r.code, 0, r.all.slice(-1500));
});
await check("openclaw agent --message: the answer of the model", async () => {
	const r = await openclaw("agent", "--agent", "main", "--message",
		"say: heard by chelad", "--json");
	assert.equal(r.code, 0, r.all.slice(-1500));
	assert.match(r.out, /heard by chelad/);
});
await finish();
