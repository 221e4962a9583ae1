// SPDX-License-Identifier: MIT
// AB-024: what the official schema says about parameters, method by method:
// its valid objects are accepted, and each way to break one is refused.
import fs from "node:fs";
import { Gateway, ModelServer, assert, check, finish, operator } from "./lib.mjs";
import { refusedMembers, sample, schema, validator, wrongValue } from "./official.mjs";

const methods = JSON.parse(fs.readFileSync(
	new URL("methods.json", import.meta.url), "utf8"));
const model = await new ModelServer().start();
// The control plane takes 30 writes a minute of each method and address: one
// gateway for what is valid, one for what is not, and fewer than 30 of each.
const gateways = [];
const clients = [];
for (let i = 0; i < 2; i++) {
	gateways.push(await new Gateway({ config: model.config() }).start());
	clients.push(await operator(gateways[i]));
}
const MOST = 28;
let op;

// Refused for its shape? Budget and effects are other answers.
async function refused(method, params) {
	const f = await op.frame(method, params);
	assert.equal(f.type, "res");
	if (!f.ok) {
		assert.notEqual(f.error.details?.limit, "30 per 60s");
		assert.doesNotMatch(f.error.message, /^unknown method/);
	}
	return !f.ok && f.error.code === "INVALID_REQUEST" &&
		/^invalid \S+ params: (must |at |params )/.test(f.error.message) ?
		f.error.message : null;
}

for (const { method, params: name } of methods) {
	if (!name)
		continue;
	const def = schema.definitions[name];
	const valid = validator(name);
	const refusedHere = refusedMembers(method);
	// A choice may be of required members alone: the rest is the definition's.
	const choices = (def.anyOf ?? def.oneOf ?? [def]).map((v) =>
		v.properties || !def.properties ? v : { ...def, anyOf: undefined,
			oneOf: undefined,
			required: [...(def.required ?? []), ...(v.required ?? [])] });
	const variants = choices.map((v) => ({ ...v,
		properties: Object.fromEntries(Object.entries(v.properties ?? {})
			.filter(([k]) => !refusedHere.includes(k))) }));
	op = clients[1];
	if (refusedHere.length > 0) {
		await check(`AB-024 ${method}: members of differences.json are refused`, async () => {
			for (const k of refusedHere) {
				const s = { ...sample(def, false),
					[k]: sample(def.properties[k], true, k) };
				assert.match(await refused(method, s) ?? "accepted",
					new RegExp(`unexpected property '${k}'`));
			}
		});
	}
	await check(`AB-024 ${method}: valid ${name} accepted`, async () => {
		let n = 0;
		op = clients[0];
		for (const v of variants) {
			for (const all of [false, true]) {
				const s = sample(v, all);
				if (!valid(s))
					continue;
				n++;
				assert.equal(await refused(method, s), null, JSON.stringify(s));
			}
			// Each optional member alone, so that no one hides another.
			for (const k of Object.keys(v.properties ?? {})) {
				const s = { ...sample(v, false), [k]: sample(v.properties[k], true, k) };
				if (n >= MOST || !valid(s))
					continue;
				n++;
				assert.equal(await refused(method, s), null, JSON.stringify(s));
			}
		}
		assert.ok(n > 0, "no sample could be made");
	});
	await check(`AB-024 ${method}: invalid ${name} refused`, async () => {
		const bad = [];
		op = clients[1];
		for (const v of variants) {
			const s = sample(v, false);
			bad.push({ ...s, unexpectedMember: 1 });
			for (const k of v.required ?? []) {
				const { [k]: _, ...rest } = s;
				bad.push(rest);
			}
			for (const [k, p] of Object.entries(v.properties ?? {})) {
				const w = wrongValue(p);
				if (w)
					bad.push({ ...s, [k]: w.value });
			}
		}
		bad.push([], "text", 7);
		let n = 0;
		for (const b of bad) {
			if (n >= MOST || valid(b))
				continue;
			n++;
			assert.notEqual(await refused(method, b), null, JSON.stringify(b));
		}
		assert.ok(n > 0, "nothing to refuse");
	});
	// An abort or a removal of its own session may have ended it.
	if (gateways.some((g) => g.exit))
		break;
	for (let i = 0; i < 2; i++) {
		if (clients[i].ws.readyState !== clients[i].ws.OPEN)
			clients[i] = await operator(gateways[i]);
	}
}
await finish();
