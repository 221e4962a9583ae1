// SPDX-License-Identifier: MIT
// A whole conversation through chelad with a model server from elsewhere behind
// it, over both APIs: deltas as they come, the final text, usage, errors, abort.
import { randomUUID } from "node:crypto";
import { Gateway, assert, check, finish, operator } from "./lib.mjs";
import { ANSWER, OpenAIServer } from "./openai_server.mjs";

async function ask(op, message, run = randomUUID()) {
	const from = op.events.length;
	await op.call("chat.send", { sessionKey: "main", message,
		idempotencyKey: run });
	return { run, from };
}

function ended(op, { run, from }) {
	return op.event("chat", (p) => p.runId === run &&
		["final", "error", "aborted"].includes(p.state), { from });
}

const text = (m) => typeof m?.content === "string" ? m.content :
	(m?.content ?? []).map((c) => c.text ?? "").join("");

for (const api of ["openai-completions", "anthropic-messages"]) {
	const server = await new OpenAIServer().start();
	const gw = await new Gateway({ config: server.config(api) }).start();
	const op = await operator(gw);

	await check(`${api}: an answer comes in pieces and then whole`, async () => {
		const q = await ask(op, "tell me of the fox");
		const end = await ended(op, q);
		assert.equal(end.payload.state, "final");
		assert.equal(text(end.payload.message), ANSWER);
		const deltas = op.events.slice(q.from).filter((e) =>
			e.event === "chat" && e.payload.runId === q.run &&
			e.payload.state === "delta");
		assert.ok(deltas.length >= 1, "no delta");
		const rows = (await op.call("chat.history",
			{ sessionKey: "main", limit: 10 })).messages;
		assert.equal(text(rows.at(-1)), ANSWER);
		assert.equal(rows.at(-1).role, "assistant");
	});

	await check(`${api}: the server got the model and the conversation`, async () => {
		const last = server.requests.at(-1);
		assert.equal(last.body.model, "fox-1");
		assert.equal(last.body.stream, true);
		const q = await ask(op, "and again, the fox");
		await ended(op, q);
		const said = JSON.stringify(server.requests.at(-1).body.messages);
		assert.ok(said.includes("tell me of the fox"));
		assert.ok(said.includes("quick brown"));
	});

	await check(`${api}: a busy server is asked again`, async () => {
		const before = server.requests.length;
		server.failNext(503, "overloaded for a moment", "server_error");
		const q = await ask(op, "the fox once more");
		const end = await ended(op, q);
		assert.equal(end.payload.state, "final");
		assert.ok(server.requests.length >= before + 1);
	});

	await check(`${api}: a refused key ends the run with an error`, async () => {
		server.failNext(401, "Incorrect key: planted-key-0123456789",
			"authentication_error");
		const q = await ask(op, "the fox, with the wrong key");
		const end = await ended(op, q);
		assert.equal(end.payload.state, "error");
		assert.ok(end.payload.errorMessage?.length > 0);
	});

	await check(`${api}: a run is aborted while it streams`, async () => {
		const q = await ask(op, "slowly");
		await op.event("chat", (p) => p.runId === q.run &&
			p.state === "delta", { from: q.from });
		await op.call("chat.abort", { sessionKey: "main", runId: q.run });
		const end = await ended(op, q);
		assert.equal(end.payload.state, "aborted");
		const after = await ask(op, "the fox after that");
		assert.equal((await ended(op, after)).payload.state, "final");
	});

	await check(`${api}: the key is nowhere that a client or a log sees`, () => {
		assert.ok(!JSON.stringify(op.frames).includes("planted-key"));
		assert.ok(!gw.log.includes("planted-key"));
	});
	await op.close();
}

await finish();
