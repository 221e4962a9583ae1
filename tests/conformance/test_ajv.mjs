// SPDX-License-Identifier: MIT
// The validator against AJV: generated values, valid ones and broken ones, on
// definitions of the official schema. The same seed gives the same values.
//
//	node test_ajv.mjs [DEFINITIONS [VALUES [SEED]]]
//
// The packages are looked for in $CHELA_NPM, else beside the working directory;
// schema_run in $CHELA_BUILD. Without either it exits with 77.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { spawnSync } from "node:child_process";

const npm = path.resolve(process.env.CHELA_NPM ?? process.cwd());
const runner = path.join(process.env.CHELA_BUILD ?? ".",
	"tests/conformance/schema_run");
const file = path.join(npm,
	"node_modules/@openclaw/gateway-protocol/protocol.schema.json");
for (const need of [runner, file]) {
	if (!fs.existsSync(need)) {
		console.log(`ok - AB-024 validator against AJV # SKIP ${need} is not there`);
		process.exit(77);
	}
}
const Ajv = createRequire(path.join(npm, "package.json"))("ajv");
const [nDefs, nValues, seed] = [100, 100, 1].map(
	(dflt, i) => Number(process.argv[2 + i] ?? dflt));
const doc = JSON.parse(fs.readFileSync(file, "utf8"));

let state = seed >>> 0;
function random() {
	state = state + 0x6d2b79f5 >>> 0;
	let t = Math.imul(state ^ state >>> 15, state | 1);
	t = t + Math.imul(t ^ t >>> 7, t | 61) ^ t;
	return ((t ^ t >>> 14) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (a) => a[below(a.length)];
const chance = (p) => random() < p;

const words = ["", "a", "abc", "A1", "req", "main", "x y", " ", "\n", "a\n",
	"\u00a0", "\ufeff", "\u0085", "\u2028", "\u00e9", "\ud83d\ude00",
	"\u0661", "a".repeat(41), "a".repeat(64), "0123456789abcdef".repeat(2),
	"0123456789abcdef".repeat(4), "0123456789ABCDEF".repeat(4), "a-b", "a.b",
	"a--b", ".", "..", "../x", "/", "/a/b", "a/b", "https://a.example/x",
	"session:x", "agent:main:main", "provider-auto:x", "2026-01-31",
	"UTC+1", "UTC+1:30", "ABCD-1234", "data:image/png;base64,AAAA",
	"github-device-" + "0".repeat(32), "conv_" + "0".repeat(32),
	"01234567-89ab-cdef-0123-456789abcdef", "en", "~0", "~2", "*",
	"hmac-sha256:v1:" + "0".repeat(32) + ":" + "0".repeat(64), "A_B",
	"github-setup-" + "0".repeat(32), "a:b", "\u0000", "x".repeat(257),
	"\ud83d\ude00".repeat(33), "\u20ac".repeat(64), "__proto__x"];
const numbers = [0, 1, -1, 2, 1.5, 0.1, 10, 100, 1000, 65535, 65536, 1e6, -0.5,
	9007199254740991, -9007199254740991, 1e21, 1e-7, 60000, 3, 1.0];

function string(s) {
	const good = words.filter((w) => {
		const n = [...w].length;
		return n >= (s.minLength ?? 0) && n <= (s.maxLength ?? 1e9) &&
			(!s.pattern || new RegExp(s.pattern, "u").test(w));
	});
	if (good.length > 0)
		return pick(good);
	return "a".repeat(Math.min(s.minLength ?? 1, s.maxLength ?? 1e9));
}

function number(s, whole) {
	const low = s.minimum ?? s.exclusiveMinimum ?? -1e15;
	const high = s.maximum ?? s.exclusiveMaximum ?? 1e15;
	const good = [...numbers, low, high, low + 1, high - 1].filter(
		(n) => n >= low && n <= high && (!whole || Number.isSafeInteger(n)));
	return good.length > 0 ? pick(good) : low;
}

function anything(depth) {
	switch (below(depth > 2 ? 5 : 7)) {
	case 0: return null;
	case 1: return chance(0.5);
	case 2: return pick(numbers);
	case 3: case 4: return pick(words);
	case 5: return Array.from({ length: below(4) }, () => anything(depth + 1));
	default: return Object.fromEntries(Array.from({ length: below(4) },
		() => [pick(words), anything(depth + 1)]));
	}
}

// A value that the schema should take; its answer is AJV's, not ours.
function sample(s, depth = 0) {
	if (typeof s === "boolean")
		return anything(depth);
	if (s.$ref)
		return sample(s.$ref.slice(2).split("/").reduce((v, k) => v[k], doc),
			depth + 1);
	if ("const" in s)
		return s.const;
	if (s.enum)
		return pick(s.enum);
	const branches = s.anyOf ?? s.oneOf;
	if (branches) {
		const v = sample(pick(branches), depth + 1);
		if (!s.properties || !v || typeof v !== "object" || Array.isArray(v))
			return v;
		return { ...sample({ ...s, anyOf: undefined, oneOf: undefined },
			depth), ...v };
	}
	const type = Array.isArray(s.type) ? pick(s.type) : s.type ??
		(s.properties ? "object" : undefined);
	switch (type) {
	case "null": return null;
	case "boolean": return chance(0.5);
	case "integer": return number(s, true);
	case "number": return number(s, false);
	case "string": return string(s);
	case "array": {
		const n = Math.min(s.maxItems ?? 9,
			Math.max(s.minItems ?? 0, below(depth > 4 ? 1 : 4)));
		return Array.from({ length: n }, (_, i) => sample(
			Array.isArray(s.items) ? s.items[i] ?? true : s.items ?? true,
			depth + 1));
	}
	case "object": {
		const v = {};
		const need = new Set(s.required ?? []);
		for (const [k, sub] of Object.entries(s.properties ?? {})) {
			if (need.has(k) || chance(depth > 5 ? 0.1 : 0.5))
				v[k] = sample(sub, depth + 1);
		}
		for (const [re, sub] of Object.entries(s.patternProperties ?? {})) {
			const names = words.filter((w) => new RegExp(re, "u").test(w));
			for (let n = below(3); n > 0 && names.length > 0; n--)
				v[pick(names)] = sample(sub, depth + 1);
		}
		return v;
	}
	default: return anything(depth);
	}
}

// One change somewhere inside.
function mutate(v) {
	if (Array.isArray(v) && v.length > 0 && chance(0.8)) {
		const i = below(v.length);
		switch (below(5)) {
		case 0: return v.toSpliced(i, 1);
		case 1: return [...v, v[i]];
		case 2: return [...v, anything(1)];
		default: return v.with(i, mutate(v[i]));
		}
	}
	if (v && typeof v === "object" && !Array.isArray(v)) {
		const keys = Object.keys(v);
		const k = keys.length > 0 ? pick(keys) : "";
		const copy = { ...v };
		switch (below(keys.length > 0 ? 7 : 2)) {
		case 0: copy[pick(words)] = anything(1); return copy;
		case 1: return chance(0.3) ? anything(0) : copy;
		case 2: delete copy[k]; return copy;
		case 3: copy[k] = anything(1); return copy;
		default: copy[k] = mutate(copy[k]); return copy;
		}
	}
	if (typeof v === "string") {
		switch (below(5)) {
		case 0: return v + pick(words);
		case 1: return v.slice(0, -1).toWellFormed();
		case 2: return pick(words);
		case 3: return v.toUpperCase();
		default: return v.repeat(below(40));
		}
	}
	if (typeof v === "number")
		return pick([v + 1, v - 1, -v, v + 0.5, pick(numbers), String(v)]);
	return anything(0);
}

// What the scanner refuses never reaches the validator.
function isClean(v) {
	if (typeof v === "number")
		return !Number.isInteger(v) || Number.isSafeInteger(v) ||
			/[.e]/.test(JSON.stringify(v));
	if (Array.isArray(v))
		return v.every(isClean);
	if (v && typeof v === "object")
		return Object.entries(v).every(([k, x]) => !k.includes("\0") &&
			k !== "__proto__" && isClean(x));
	return true;
}

const names = Object.keys(doc.definitions).sort();
const step = Math.max(1, Math.floor(names.length / nDefs));
const chosen = names.filter((_, i) => i % step === 0).slice(0, nDefs);
const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
ajv.addSchema(doc, "doc");

const lines = [], want = [], what = [];
for (const name of chosen) {
	const def = doc.definitions[name];
	const valid = ajv.getSchema(`doc#/definitions/${name}`);
	lines.push(`S /definitions/${name}`);
	for (let i = 0; i < nValues; i++) {
		let v;
		do {
			v = sample(def);
			for (let n = i % 2 === 0 ? 0 : 1 + below(3); n > 0; n--)
				v = mutate(v);
		} while (v === undefined || !isClean(v));
		const text = JSON.stringify(v);
		lines.push("V " + text);
		want.push(valid(JSON.parse(text)) ? "1" : "0");
		what.push(name + " " + text);
	}
}

// Every definition compiles, and a daemon can afford to hold them all.
const all = spawnSync(runner, [file], { input: "A\n", encoding: "utf8" });
const [nCompiled, heap] = all.stdout.split(" ").map(Number);
const isAll = all.status === 0 && nCompiled === names.length &&
	heap < 10 * 1024 * 1024;
console.log(`${isAll ? "ok" : "not ok"} - AB-024 ${nCompiled} of ` +
	`${names.length} definitions compile, ${heap >> 10} KiB${all.stderr}`);

const run = spawnSync(runner, [file], { input: lines.join("\n") + "\n",
	encoding: "utf8", maxBuffer: 1 << 28 });
if (run.status !== 0) {
	console.log(`not ok - AB-024 schema_run exits with ${run.status}: ${run.stderr}`);
	process.exit(1);
}
const got = run.stdout.trimEnd().split("\n");
let differ = 0;
for (let i = 0; i < want.length; i++) {
	if (want[i] === got[i])
		continue;
	if (differ++ < 10)
		console.log(`# AJV ${want[i]}, ours ${got[i]}: ${what[i].slice(0, 400)}`);
}
const nValid = want.filter((w) => w === "1").length;
const isMixed = nValid > want.length / 5 && nValid < want.length * 4 / 5;
const ok = differ === 0 && got.length === want.length && isMixed;
console.log(`${ok ? "ok" : "not ok"} - AB-024 validator against AJV: ` +
	`${want.length} values on ${chosen.length} definitions, ` +
	`${nValid} valid, ${differ} differences`);
process.exit(ok && isAll ? 0 : 1);
