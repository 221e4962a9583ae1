// SPDX-License-Identifier: MIT
// The official client library over wss:// with the certificate that chelad makes.
import { GatewayClient } from "@openclaw/gateway-client";
import { Gateway, assert, atEnd, check, finish, within } from "./lib.mjs";

const gw = await new Gateway({ config: { gateway: { tls: { enabled: true } } } })
	.start();
const finger = (await gw.logged(/fingerprint sha256:([0-9a-f]{64})/))[1];

// The outcome of one attempt: the hello, or the error.
function attempt(over) {
	return within(new Promise((resolve) => {
		const c = new GatewayClient({
			url: gw.url, token: gw.token,
			onHelloOk: (hello) => resolve({ hello, client: c }),
			onConnectError: (error) => resolve({ error, client: c }),
			...over,
		});
		atEnd(() => c.stop());
		c.start();
	}), "hello or error").then((r) => {
		if (r.error)
			r.client.stop();
		return r;
	});
}

await check("the ready line says wss", () => assert.match(gw.url, /^wss:/));
for (const [how, text] of [["bare", finger], ["with sha256:", `sha256:${finger}`],
	["with colons", finger.toUpperCase().match(/../g).join(":")]]) {
	await check(`official client, fingerprint ${how}: hello and a call`, async () => {
		const r = await attempt({ tlsFingerprint: text });
		assert.equal(r.hello?.type, "hello-ok", String(r.error));
		assert.equal((await r.client.request("health", {})).ok, true);
		r.client.stop();
	});
}
await check("official client: another fingerprint is a mismatch", async () => {
	const r = await attempt({ tlsFingerprint: "0".repeat(64) });
	assert.match(String(r.error), /fingerprint mismatch/);
});
await check("official client: no fingerprint, no trust", async () => {
	const r = await attempt({});
	assert.match(String(r.error), /self.signed|certificate/i);
});
await finish();
