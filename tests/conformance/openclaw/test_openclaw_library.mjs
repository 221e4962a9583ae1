// SPDX-License-Identifier: MIT
// openclaw-node, a client library that neither OpenClaw nor we wrote.
import { OpenClawClient } from "openclaw-node";
import { Gateway, ModelServer, assert, check, finish, within } from "./lib.mjs";

const model = await new ModelServer().start();
const gw = await new Gateway({ config: model.config() }).start();

function client(token = gw.token) {
	return new OpenClawClient({ url: gw.url, token, autoReconnect: false });
}

const c = client();
await check("openclaw-node connects", async () => {
	await within(c.connect(), "connect");
	assert.equal(c.isConnected, true);
});
await check("openclaw-node knows which methods there are", () => {
	assert.equal(c.hasMethod("chat.send"), true);
	assert.equal(c.hasMethod("no.such"), false);
});
await check("openclaw-node: health", async () => {
	assert.equal((await within(c.health(), "health")).ok, true);
});
await check("openclaw-node: chat streams in pieces and is done", async () => {
	const kinds = [];
	const texts = [];
	await within((async () => {
		for await (const k of c.chat("say: one two three four five")) {
			kinds.push(k.type);
			if (k.type === "text")
				texts.push(k.text);
		}
	})(), "the answer");
	assert.equal(texts.join(""), "one two three four five");
	assert.ok(texts.length >= 1);
	assert.equal(kinds.at(-1), "done");
});
await check("openclaw-node: chatSync gives the whole answer", async () => {
	assert.equal(await within(c.chatSync("say: all at once"), "the answer"),
		"all at once");
});
await check("openclaw-node: a failing model is an error", async () => {
	const kinds = [];
	await within((async () => {
		for await (const k of c.chat("status: 400"))
			kinds.push(k.type);
	})(), "the end");
	assert.ok(kinds.includes("error"), kinds.join(" "));
});
await check("openclaw-node: a wrong token is refused", async () => {
	await assert.rejects(within(client("not-the-token").connect(), "refusal"),
		/token|before handshake/);	// its own words
});
await c.disconnect();
await finish();
