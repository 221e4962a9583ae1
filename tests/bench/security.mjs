#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// What security costs chelad: TLS handshakes, idle TLS connections and requests
// over TLS beside plain ones; the connect of a device where few or many are
// paired. CPU time of the server. It checks answers, not figures.
//
//	CHELA_BUILD=BUILDDIR CHELA_SOURCE=SOURCEDIR node tests/bench/security.mjs
//	    [DEVICES]				(10,000 without)
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { Device, Gateway, atEnd, enter, finish, check, assert }
	from "../wire/device.mjs";

const MANY = Number(process.argv[2] ?? 10_000), FEW = 10;
const ABREAST = 16;		// a gateway lets 32 strangers of one address in
const CONNECTS = 4000, HANDSHAKES = 3000, IDLE = 1000, REQUESTS = 200_000;

// Nanoseconds of all its threads.
function cpu(pid) {
	let sum = 0;
	for (const t of fs.readdirSync(`/proc/${pid}/task`))
		sum += Number(fs.readFileSync(`/proc/${pid}/task/${t}/schedstat`,
			"ascii").split(" ")[0]);
	return sum;
}

async function gateway(config = {}) {
	return await new Gateway({ config, checks: false }).start();
}

function tlsload(gw, mode, ...args) {
	const r = spawnSync(`${process.env.CHELA_BUILD}/tests/bench/tlsload`,
		[mode, "--port", gw.port, "--pid", gw.child.pid, "--token", gw.token,
			...args].map(String), { encoding: "utf8", timeout: 300_000 });
	assert.equal(r.status, 0, r.stderr);
	console.log(`  ${r.stdout.trim()}`);
}

// Pairs so many new devices: silently, they come from this machine.
async function pair(gw, n) {
	const lane = async () => {
		while (n-- > 0) {
			const { c, res } = await enter(gw, { device: new Device() });
			assert.equal(res.ok, true, JSON.stringify(res));
			c.end();
			await c.closed;
		}
	};
	await Promise.all(Array.from({ length: ABREAST }, lane));
}

// Microseconds of the server for a connect of a paired device to its hello.
async function connects(gw, device, n) {
	const once = async () => {
		const { c, res } = await enter(gw, { device });
		assert.equal(res.ok, true, JSON.stringify(res));
		c.end();
		await c.closed;
	};
	for (let i = 0; i < n / 10; i++)
		await once();
	const before = cpu(gw.child.pid);
	for (let i = 0; i < n; i++)
		await once();
	return (cpu(gw.child.pid) - before) / n / 1000;
}

await check("TLS", async () => {
	const tls = await gateway({ gateway: { tls: { enabled: true } } });
	const plain = await gateway();
	tlsload(tls, "connect", "--count", HANDSHAKES);
	tlsload(tls, "connect", "--count", HANDSHAKES, "--resume");
	tlsload(plain, "connect", "--count", HANDSHAKES, "--plain");
	tlsload(tls, "idle", "--count", IDLE);
	tlsload(plain, "idle", "--count", IDLE, "--plain");
	for (const inflight of [1, 16]) {
		tlsload(tls, "rr", "--count", REQUESTS, "--inflight", inflight);
		tlsload(plain, "rr", "--count", REQUESTS, "--inflight", inflight,
			"--plain");
	}
	await tls.stop();
	await plain.stop();
});

// Measured after a start: nobody is present, whom a hello would list.
async function measured(n) {
	const first = await gateway(), device = new Device();
	await pair(first, n - 1);
	await first.stop();
	const gw = await new Gateway({ dir: first.dir, token: first.token,
		checks: false }).start();
	const us = await connects(gw, device, CONNECTS);
	console.log(`  connect of a device, ${n} paired: ${us.toFixed(1)} us CPU`);
	await gw.stop();
	return us;
}

await check("devices", async () => {
	const few = await measured(FEW);
	console.log(`  ${((await measured(MANY)) / few).toFixed(2)} times as much`);
});

await finish();
