// SPDX-License-Identifier: MIT
// The openclaw node host, unchanged: it pairs with chelad, is approved, does what it
// is asked, and comes back when chelad was away.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Gateway, assert, atEnd, check, finish, operator, tempDir, within }
	from "./lib.mjs";

let gw = await new Gateway().start();
const home = tempDir("openclaw-node");
fs.writeFileSync(path.join(home, "openclaw.json"), "{}", { mode: 0o600 });
const command = new URL("node_modules/openclaw/openclaw.mjs", import.meta.url).pathname;

function nodeHost() {
	const child = spawn(process.execPath, [command, "node", "run", "--host",
		"127.0.0.1", "--port", String(gw.port), "--display-name", "box"], {
		env: { PATH: process.env.PATH, HOME: home, NO_COLOR: "1",
			OPENCLAW_STATE_DIR: path.join(home, "state"),
			OPENCLAW_CONFIG_PATH: path.join(home, "openclaw.json"),
			OPENCLAW_GATEWAY_TOKEN: gw.token },
		stdio: ["ignore", "pipe", "pipe"],
	});
	const host = { child, out: "" };
	for (const s of [child.stdout, child.stderr])
		s.setEncoding("utf8").on("data", (d) => { host.out += d; });
	host.end = new Promise((resolve) => child.on("close", resolve));
	atEnd(() => child.kill("SIGKILL"));
	return host;
}

let op = await operator(gw);
let host;
let nodeId;
let key = 0;

const invoke = (command, params, more = {}) => op.call("node.invoke",
	{ nodeId, command, params, idempotencyKey: `k${key++}`, ...more });

await check("openclaw node run: is paired, and asks for its commands", async () => {
	host = nodeHost();
	const asked = (await within(op.event("node.pair.requested"), "request",
		120_000)).payload;
	nodeId = asked.nodeId;
	assert.match(nodeId, /^[0-9a-f]{64}$/);
	assert.equal(asked.displayName, "box");
	assert.ok(asked.commands.includes("system.run"));
	assert.ok(asked.requiredApproveScopes.includes("operator.admin"));
	const row = await op.call("node.describe", { nodeId });
	assert.deepEqual(row.commands, []);
	assert.equal(row.approvalState, "pending-approval");
	await assert.rejects(invoke("system.run", { command: ["id"] }),
		/command|approv/);
	await op.call("node.pair.approve", { requestId: asked.requestId });
	assert.equal((await op.event("node.pair.resolved")).payload.decision,
		"approved");
});
await check("openclaw node run: publishes by itself once it is approved", async () => {
	const e = await within(op.event("node.runnerInventory.changed"),
		"inventory", 60_000);
	assert.equal(e.payload.nodeId, nodeId);
	const row = await op.call("node.describe", { nodeId });
	assert.ok(row.commands.includes("system.run"));
	assert.deepEqual(row.nodePluginTools, []);
});
await check("openclaw node run: system.run uname", async () => {
	const r = await invoke("system.run", { command: ["uname", "-s"] });
	assert.equal(r.payload.stdout.trim(), "Linux");
	assert.equal(r.payload.exitCode, 0);
	assert.equal(r.payload.success, true);
});
await check("openclaw node run: a plan that it prepared runs as approved", async () => {
	const p = await invoke("system.run.prepare", { command: ["uname", "-s"] });
	const plan = p.payload.plan;
	assert.match(plan.argv[0], /uname$/);
	assert.deepEqual(plan.argv.slice(1), ["-s"]);
	const r = await invoke("system.run", { command: plan.argv,
		...(plan.cwd ? { cwd: plan.cwd } : {}), systemRunPlan: plan });
	assert.equal(r.payload.stdout.trim(), "Linux");
});
await check("openclaw node run: system.which, and a failure of its own", async () => {
	const r = await invoke("system.which", { bins: ["sh"] });
	assert.match(r.payload.bins.sh, /\/sh$/);
	await assert.rejects(invoke("fs.listDir", { path: "not/absolute" }), (e) => {
		assert.equal(e.code, "UNAVAILABLE");
		assert.equal(e.details.nodeCommandDispatched, true);
		return true;
	});
});
await check("openclaw node run: comes back after chelad was away", async () => {
	await gw.stop();
	gw = await new Gateway({ dir: gw.dir, token: gw.token, port: gw.port }).start();
	op = await operator(gw);
	const end = Date.now() + 60_000;
	let row = {};
	while (!row.connected && Date.now() < end)
		row = await op.call("node.describe", { nodeId });
	assert.equal(row.connected, true);
	assert.deepEqual((await op.call("node.pair.list", {})).pending, []);
	const r = await invoke("system.run", { command: ["uname", "-s"] });
	assert.equal(r.payload.stdout.trim(), "Linux");
});
await check("AB-131 openclaw node run: killed while it works", async () => {
	const flag = path.join(home, "started");
	const slow = invoke("system.run", { command: ["sh", "-c",
		`touch ${flag}; sleep 100`], timeoutMs: 200_000 },
	{ timeoutMs: 200_000 });
	const failed = assert.rejects(slow, (e) => {
		assert.equal(e.code, "UNAVAILABLE");
		assert.equal(e.details.nodeError.code, "DISCONNECTED");
		return true;
	});
	const end = Date.now() + 30_000;
	while (!fs.existsSync(flag) && Date.now() < end)
		await op.call("node.list", {});
	assert.ok(fs.existsSync(flag));
	host.child.kill("SIGKILL");
	await within(failed, "failure", 10_000);
	const row = await op.call("node.describe", { nodeId });
	assert.equal(row.connected, false);
});
await finish();
