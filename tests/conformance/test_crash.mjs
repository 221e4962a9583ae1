// SPDX-License-Identifier: MIT
// kill -9 at random instants while writes are under way: what was acknowledged
// is there after the next start. Rounds: the first argument, 10 without one.
import { randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { Gateway, Raw, assert, atEnd, check, connectParams, finish, note,
	tempDir, within } from "./lib.mjs";

const rounds = Number(process.argv[2] ?? 10);
const WRITERS = 3;

// Where the webhook channel of the configuration delivers to; answers at once.
const delivered = [];
const hook = http.createServer((req, res) => {
	let body = "";
	req.on("data", (d) => { body += d; });
	req.on("end", () => {
		delivered.push(body);
		res.setHeader("content-type", "application/json");
		res.end('{"ok":true}');
	});
}).listen(0, "127.0.0.1");
await once(hook, "listening");
atEnd(() => { hook.closeAllConnections(); hook.close(); });

const dir = tempDir();
const acked = { labels: new Map(), notes: new Set(), messages: new Set() };
const token = randomUUID();
const keyOf = (w) => `agent:main:crash-${w}`;
let n = 0;

async function connected(gw) {
	const raw = await new Raw(gw.url).open();
	return raw.connect(connectParams({ token }));
}

// Writes until the connection breaks, and remembers what was acknowledged.
async function writer(raw, w, kind) {
	for (;;) {
		const mark = `mark-${++n}-${randomUUID()}`;
		try {
			if (kind === "patch") {
				await raw.call("sessions.patch", { key: keyOf(w), label: mark });
				acked.labels.set(w, { last: mark, maybe: null });
			} else if (kind === "inject") {
				await raw.call("chat.inject", { sessionKey: keyOf(w), message: mark });
				acked.notes.add(`${w} ${mark}`);
			} else {
				await raw.call("chat.send", { sessionKey: keyOf(w), message: `/help ${mark}`,
					idempotencyKey: mark });
				acked.messages.add(mark);
			}
		} catch (e) {
			if (e.code)
				throw e;
			if (kind === "patch" && acked.labels.has(w))
				acked.labels.get(w).maybe = mark;
			return;
		}
	}
}

async function history(raw, key) {
	const texts = [];
	for (let offset = 0; ; ) {
		const h = await raw.call("chat.history", { sessionKey: key, limit: 1000,
			offset });
		for (const m of h.messages) {
			texts.push(typeof m.content === "string" ? m.content :
				(m.content ?? []).map((p) => p.text ?? "").join(""));
		}
		if (!h.hasMore || h.messages.length === 0)
			return texts.join("\n");
		offset += h.messages.length;
	}
}

let writes = 0;
for (let round = 1; round <= rounds; round++) {
	await check(`kill -9, round ${round}: acknowledged writes are there`, async () => {
		const gw = new Gateway({ dir, token });
		await gw.start();
		const raw = await connected(gw);
		for (let w = 0; w < WRITERS; w++)
			await raw.call("sessions.create", { key: keyOf(w) }).catch((e) => {
				if (!e.code)
					throw e;
			});
		const all = [];
		for (let w = 0; w < WRITERS; w++) {
			for (const kind of ["patch", "inject"])
				all.push(writer(await connected(gw), w, kind));
		}
		// Not a wait for anything: the instant of the kill is the experiment.
		const before = acked.notes.size;
		const instant = before + randomInt(1, 60);
		await within(new Promise((resolve) => {
			const look = () => acked.notes.size >= instant ? resolve() :
				setImmediate(look);
			look();
		}), "acknowledged writes");
		for (let spin = randomInt(0, 200); spin > 0; spin--)
			await new Promise((r) => setImmediate(r));
		await gw.kill();
		await Promise.all(all);
		writes += acked.notes.size - before;

		const next = new Gateway({ dir, token });
		await next.start();
		const look = await connected(next);
		for (let w = 0; w < WRITERS; w++) {
			const d = await look.call("sessions.describe", { key: keyOf(w) });
			const want = acked.labels.get(w);
			if (want) {
				assert.ok(d.session, `${keyOf(w)} is lost`);
				assert.ok([want.last, want.maybe].includes(d.session.label),
					`label of ${w}: ${d.session.label}, acknowledged ${want.last}`);
				acked.labels.set(w, { last: d.session.label, maybe: null });
			}
			const text = await history(look, keyOf(w));
			const lost = [...acked.notes].filter((k) => k.startsWith(`${w} `) &&
				!text.includes(k.slice(2)));
			assert.deepEqual(lost, []);
		}
		await next.stop();
	});
}
note(`${writes} acknowledged writes in ${rounds} rounds`);
await finish();
