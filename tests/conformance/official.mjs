// SPDX-License-Identifier: MIT
// The official schema as a judge: compiled definitions, the differences that we
// stand by (differences.json), and samples made from a definition.
import Ajv from "ajv";
import fs from "node:fs";

export const schema = JSON.parse(fs.readFileSync(new URL(
	"node_modules/@openclaw/gateway-protocol/protocol.schema.json",
	import.meta.url), "utf8"));

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false,
	discriminator: false });
ajv.addSchema({ $id: "official", definitions: schema.definitions });

const compiled = new Map();

export function validator(name) {
	if (!compiled.has(name)) {
		if (!schema.definitions[name])
			throw new Error(`the official schema has no ${name}`);
		compiled.set(name,
			ajv.compile({ $ref: `official#/definitions/${name}` }));
	}
	return compiled.get(name);
}

const known = JSON.parse(fs.readFileSync(
	new URL("differences.json", import.meta.url), "utf8"));
const differences = known.differences;

// Members of a method's parameters that we refuse on purpose.
export function refusedMembers(method) {
	return known.params[method]?.members ?? [];
}

export const usedDifferences = new Set();

// Errors of value against a definition that no known difference explains.
export function judge(where, name, value) {
	const v = validator(name);
	if (v(value))
		return [];
	return v.errors.filter((e) => {
		const text = `${e.instancePath || "/"} ${e.message}` +
			(e.params.additionalProperty ? `: ${e.params.additionalProperty}` : "");
		e.text = text;
		const i = differences.findIndex((d) => d.where === where &&
			new RegExp(d.error).test(text));
		if (i >= 0)
			usedDifferences.add(i);
		return i < 0;
	}).map((e) => e.text);
}

export function differencesOf(wheres) {
	return differences.map((d, i) => ({ ...d, i }))
		.filter((d) => wheres.has(d.where));
}

/* ---------------------------------------------------------------- samples */

const WORDS = {
	agentId: "main", sessionKey: "agent:main:main", key: "agent:main:main",
	startDate: "2026-01-02", endDate: "2026-02-03", timeZone: "Europe/Rome",
	utcOffset: "UTC+1", path: "gateway.port",
};

function resolve(s) {
	while (s.$ref)
		s = schema.definitions[s.$ref.split("/").at(-1)];
	return s;
}

// A valid value. all: with every optional member.
export function sample(s, all, name = "", depth = 0) {
	s = resolve(s);
	if ("const" in s)
		return s.const;
	if (s.enum)
		return s.enum[0];
	const choice = s.anyOf ?? s.oneOf;
	if (choice && !s.properties)
		return sample(choice[0], all, name, depth + 1);
	const type = Array.isArray(s.type) ? s.type[0] : s.type;
	switch (type) {
	case "string": {
		let t = WORDS[name] ?? "x";
		if (s.pattern && !new RegExp(s.pattern, "u").test(t)) {
			const tries = ["a", "a1", "0".repeat(64), "2026-01-02", "00:00",
				"sha256:" + "0".repeat(64), "A", "1", "/x", "a.b", "UTC+01:00"];
			const re = new RegExp(s.pattern, "u");
			t = tries.find((x) => re.test(x)) ?? t;
		}
		while (t.length < (s.minLength ?? 0))
			t += "x";
		return t;
	}
	case "integer":
	case "number":
		return s.minimum ?? (s.exclusiveMinimum !== undefined ?
			s.exclusiveMinimum + 1 : 1);
	case "boolean":
		return false;
	case "null":
		return null;
	case "array":
		return Array.from({ length: Math.max(s.minItems ?? 0, all ? 1 : 0) },
			(_, i) => {
				const v = sample(s.items ?? {}, all, name, depth + 1);
				return typeof v === "string" && i > 0 ? v + i : v;
			});
	case "object": {
		const o = {};
		for (const [k, p] of Object.entries(s.properties ?? {})) {
			if (s.required?.includes(k) || (all && depth < 6))
				o[k] = sample(p, all, k, depth + 1);
		}
		return o;
	}
	default:
		return "anything";
	}
}

// Values that a member of this definition must not have.
export function wrongValue(s) {
	for (const v of [[], 7.5, "wrong", { no: 1 }, true, null]) {
		const c = ajv.compile({ ...s, definitions: undefined,
			...(s.$ref ? { $ref: s.$ref.replace("#", "official#") } : {}) });
		if (!c(v))
			return { value: v };
	}
	return undefined;
}
