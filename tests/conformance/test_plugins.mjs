// SPDX-License-Identifier: MIT
// Plugins come and go while the gateway runs: a file taken away takes its
// methods with it, a file put back brings them back, and the process stays.
import fs from "node:fs";
import path from "node:path";
import { BUILD, Gateway, Raw, assert, check, connectParams, finish, note,
	operator, tempDir, within } from "./lib.mjs";

const dir = tempDir("plugins");

// What is built, as an installation has it: one .so for each plugin.
for (const name of fs.readdirSync(`${BUILD}/plugins`)) {
	const so = `${BUILD}/plugins/${name}/.libs/${name}.so`;
	if (fs.existsSync(so))
		fs.copyFileSync(so, `${dir}/${name}.so`);
}
const echo = process.env.CHELA_ECHO;	/* the example's folder, when built */
const gw = await new Gateway({ pluginDirs: [dir] }).start();
const op = await operator(gw);
const pid = gw.pid;

async function methodsNow() {
	const c = await operator(gw);
	const m = c.hello.features.methods;
	await c.close();
	return m;
}

const changed = (from) => op.event("plugins.changed", () => true, { from });

async function takeAway(file) {
	fs.renameSync(path.join(dir, file), path.join(dir, `../${path.basename(dir)}-${file}`));
}

async function putBack(file) {
	fs.renameSync(path.join(dir, `../${path.basename(dir)}-${file}`), path.join(dir, file));
}

for (const [how, ask] of [
	["plugins.refresh", () => op.call("plugins.refresh", {})],
	["SIGHUP", () => process.kill(pid, "SIGHUP")],
]) {
	await check(`AB-096 ${how}: chat.so taken away takes chat.* away`, async () => {
		assert.ok((await methodsNow()).includes("chat.send"));
		await takeAway("chat.so");
		const from = op.events.length;
		await ask();
		await changed(from);
		const left = (await methodsNow()).filter((m) => m.startsWith("chat."));
		assert.deepEqual(left, []);
		const f = await op.frame("chat.send", { sessionKey: "main",
			message: "x", idempotencyKey: "k" });
		assert.equal(f.error.code, "INVALID_REQUEST");
		assert.equal(f.error.message, "unknown method: chat.send");
	});
	await check(`${how}: the other plugins work on without it`, async () => {
		assert.equal((await op.call("health", {})).ok, true);
		assert.ok(Array.isArray((await op.call("sessions.list", {})).sessions));
	});
	await check(`AB-096 ${how}: chat.so put back works again`, async () => {
		await putBack("chat.so");
		const from = op.events.length;
		await ask();
		await changed(from);
		assert.ok((await methodsNow()).includes("chat.send"));
		const id = `run-${how}`;
		const r = await op.call("chat.send", { sessionKey: "main",
			message: "/help", idempotencyKey: id });
		assert.ok(r.runId === id);
		await op.event("chat", (p) => p.runId === id && p.state === "final");
	});
}

await check("AB-093 a file that is no plugin is refused and harms nothing", async () => {
	fs.writeFileSync(`${dir}/text.so`, "not an object\n", { mode: 0o644 });
	await op.call("plugins.refresh", {}).catch(() => {});
	const l = await op.call("plugins.list", {});
	const entry = l.plugins.find((p) => p.id === "text");
	assert.ok(entry?.state === "error" ||
		l.diagnostics.some((d) => d.message.includes("text")),
		"nothing says why");
	assert.ok((await methodsNow()).includes("chat.send"));
	fs.unlinkSync(`${dir}/text.so`);
	await op.call("plugins.refresh", {});
});

if (echo) {
	await check("the example plugin: dropped in, it answers echo.say", async () => {
		fs.copyFileSync(`${echo}/echo.so`, `${dir}/echo.so`);
		fs.copyFileSync(`${echo}/echo.json`, `${dir}/echo.json`);
		const from = op.events.length;
		await op.call("plugins.refresh", {});
		await changed(from);
		assert.ok((await methodsNow()).includes("echo.say"));
		assert.deepEqual(await op.call("echo.say", { text: "hello" }),
			{ text: "hello" });
	});
	await check("the example plugin: its parameters are validated", async () => {
		const f = await op.frame("echo.say", { text: 7 });
		assert.match(f.error.message, /^invalid echo\.say params: at \/text: must be string/);
	});
	await check("the example plugin: taken away it is unknown", async () => {
		fs.unlinkSync(`${dir}/echo.so`);
		const from = op.events.length;
		await op.call("plugins.refresh", {});
		await changed(from);
		const f = await op.frame("echo.say", { text: "hello" });
		assert.equal(f.error.message, "unknown method: echo.say");
	});
} else {
	note("CHELA_ECHO is not set: the example is tried by make installcheck");
}

await check("the process is the same from first to last", async () => {
	assert.equal(gw.exit, undefined);
	assert.equal((await op.call("system.info", {})).pid, pid);
});
await check("an empty plugin directory: the core refuses every frame clearly", async () => {
	const bare = await new Gateway({ pluginDirs: [tempDir("none")] }).start();
	const c = await new Raw(bare.url).open();
	const f = await c.frame("connect", connectParams({ token: bare.token }));
	assert.equal(f.ok, false);
	assert.equal(f.error.code, "UNAVAILABLE");
	assert.match(f.error.message, /no plugin 'connect' is loaded/);
	await within(c.closed, "close");
	await bare.stop();
});
await finish();
