// SPDX-License-Identifier: MIT
// kill -9 at random instants while writes are under way: what was acknowledged
// is there after the next start (AB-110). Rounds: the first argument, 10 without
// one.
import { randomInt, randomUUID } from "node:crypto";
import { Gateway, Raw, assert, check, connectParams, finish, note, tempDir,
	within } from "./lib.mjs";

const rounds = Number(process.argv[2] ?? 10);
const WRITERS = 3;

const dir = tempDir();
const acked = { labels: new Map(), notes: new Set() };
const token = randomUUID();
const keyOf = (w) => `agent:main:crash-${w}`;
let n = 0;

async function connected(gw) {
	const raw = await new Raw(gw.url).open();
	return raw.connect(connectParams({ token }));
}

// A session with a transcript.
async function firstTurn(raw, w) {
	const id = randomUUID();
	await raw.call("chat.send", { sessionKey: keyOf(w), message: "/help",
		idempotencyKey: id });
	await raw.event("chat", (p) => p.runId === id && p.state === "final");
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
				const r = await raw.call("chat.send", { sessionKey: keyOf(w),
					message: `/help ${mark}`, idempotencyKey: mark });
				await raw.event("chat", (p) => p.runId === r.runId &&
					p.state === "final");
				acked.notes.add(`${w} ${mark}`);
			}
		} catch (e) {
			if (e.code)
				return e;	// refused: seen when the round ends
			if (kind === "patch" && acked.labels.has(w))
				acked.labels.get(w).maybe = mark;
			return null;
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
	await check(`AB-110 kill -9, round ${round}: acknowledged writes are there`, async () => {
		const gw = new Gateway({ dir, token });
		await gw.start();
		const raw = await connected(gw);
		for (let w = 0; w < WRITERS; w++)
			await firstTurn(raw, w);
		const all = [];
		for (let w = 0; w < WRITERS; w++) {
			for (const kind of ["patch", "inject", "send"])
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
		const refusals = (await Promise.all(all)).filter(Boolean);
		assert.deepEqual(refusals.map(String), []);
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
