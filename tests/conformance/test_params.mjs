// SPDX-License-Identifier: MIT
// AB-024: what the official schema says about parameters, method by method:
// its valid objects are accepted, and each way to break one is refused.
import fs from "node:fs";
import { Gateway, ModelServer, assert, check, finish, operator } from "./lib.mjs";
import { refusedMembers, sample, schema, validator, wrongValue } from "./official.mjs";

const methods = JSON.parse(fs.readFileSync(
	new URL("methods.json", import.meta.url), "utf8"));
const model = await new ModelServer().start();
const gw = await new Gateway({ config: model.config() }).start();
let op = await operator(gw);

// The control plane takes 30 writes a minute of each method: a new connection
// has a new budget only in name, so the samples of one method stay below.
const MOST = 24;

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
	const variants = (def.anyOf ?? def.oneOf ?? [def]).map((v) => ({ ...v,
		properties: Object.fromEntries(Object.entries(v.properties ?? {})
			.filter(([k]) => !refusedHere.includes(k))) }));
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
			if (valid(b))
				continue;
			n++;
			assert.notEqual(await refused(method, b), null, JSON.stringify(b));
		}
		assert.ok(n > 0, "nothing to refuse");
	});
	// An abort or a removal of its own session may have ended it.
	if (gw.exit)
		break;
	if (op.ws.readyState !== op.ws.OPEN)
		op = await operator(gw);
}
await finish();
