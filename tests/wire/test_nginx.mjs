// SPDX-License-Identifier: MIT
// nginx in front of the gateway: as a trusted proxy, and as one that is not.
import { Client, Device, Gateway, assert, atEnd, check, enter, entered, finish,
	operator, params, refused, within } from "./device.mjs";
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

const NGINX = ["/usr/sbin/nginx", "/usr/bin/nginx"].find((p) => fs.existsSync(p));
if (!NGINX) {
	console.log("# nginx is not installed");
	process.exit(77);
}

function freePort() {
	return new Promise((ok) => {
		const s = net.createServer().listen(0, "127.0.0.1", () => {
			const { port } = s.address();
			s.close(() => ok(port));
		});
	});
}

// nginx as its manual has it for WebSocket; extra goes into the location.
async function nginx(gw, extra) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "chela-nginx-"));
	atEnd(() => fs.rmSync(dir, { recursive: true, force: true }));
	const port = await freePort();
	fs.writeFileSync(`${dir}/nginx.conf`, `
daemon off;
master_process off;
pid ${dir}/pid;
error_log ${dir}/error.log notice;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p;
	fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u;
	scgi_temp_path ${dir}/s;
	server {
		listen 127.0.0.1:${port};
		location / {
			proxy_pass http://127.0.0.1:${gw.port};
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $host;
			${extra}
		}
	}
}
`);
	const child = spawn(NGINX, ["-c", `${dir}/nginx.conf`, "-e",
		`${dir}/error.log`, "-p", dir], { stdio: "ignore" });
	const gone = new Promise((ok) => child.on("exit", ok));
	atEnd(async () => {
		child.kill("SIGTERM");
		await within(gone, "end of nginx");
	});
	// It listens once a connection is taken.
	await within((async () => {
		for (;;) {
			const ok = await new Promise((done) => {
				const s = net.connect(port, "127.0.0.1");
				s.on("connect", () => { s.destroy(); done(true); });
				s.on("error", () => done(false));
			});
			if (ok)
				return;
			if (child.exitCode !== null)
				throw new Error(fs.readFileSync(`${dir}/error.log`, "utf8"));
			await new Promise((r) => setImmediate(r));
		}
	})(), "nginx");
	return port;
}

const FORWARD = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";

await check("a proxy that is not trusted is refused, with the right token",
	async () => {
	const gw = await new Gateway().start();
	const port = await nginx(gw, FORWARD);
	const c = new Client(gw, { port });
	const e = await within(c.opened.then(() => null, (x) => x), "answer");
	assert.equal(e?.status, 403);
	assert.equal(JSON.parse(e.body).error.type, "proxy_attribution_required");
	await gw.stop();
});

await check("a trusted proxy names the client, whatever the client says",
	async () => {
	const gw = await new Gateway({ config: { gateway: {
		trustedProxies: ["127.0.0.1"] } } }).start();
	const ops = (await operator(gw)).c;
	// The test itself is on loopback: nginx appends that, and it is skipped.
	const port = await nginx(gw, FORWARD);
	const d = new Device();
	const headers = { "X-Forwarded-For": "203.0.113.77" };
	const no = await refused(gw, { device: d, port, headers,
		scopes: ["operator.read"] });
	assert.equal(no.details.code, "PAIRING_REQUIRED");
	const list = await ops.call("device.pair.list");
	assert.equal(list.pending.find((r) => r.deviceId === d.id).remoteIp,
		"203.0.113.77");
	await ops.call("device.pair.approve", { requestId: no.details.requestId });
	const { auth, c } = await entered(gw, { device: d, port, headers,
		scopes: ["operator.read"] });
	assert.deepEqual(auth.scopes, ["operator.read"]);
	await c.call("health");
	// A client that is loopback by the chain alone is nobody.
	const bare = new Client(gw, { port });
	const e = await within(bare.opened.then(() => null, (x) => x), "answer");
	assert.equal(e?.status, 403);
	await gw.stop();
});

await check("a proxy that signs people in: mode trusted-proxy", async () => {
	const gw = await new Gateway({ token: "", config: { gateway: {
		trustedProxies: ["127.0.0.1"], auth: { mode: "trusted-proxy",
			identityScopes: { "ann@x.example": ["operator.read"] },
			trustedProxy: { userHeader: "X-Auth-User", allowLoopback: true } } } } })
		.start();
	const port = await nginx(gw,
		`proxy_set_header X-Forwarded-For 198.51.100.3;
		proxy_set_header X-Auth-User "ann@x.example";`);
	// What the client claims is overwritten.
	const { auth, c } = await entered(gw, { port, auth: {}, scopes: [],
		headers: { "X-Auth-User": "root" } });
	assert.deepEqual(auth.scopes, ["operator.read"]);
	await c.call("health");
	// Past the proxy there is no user.
	const no = await refused(gw, { auth: {}, scopes: [],
		headers: { "X-Auth-User": "ann@x.example",
			"X-Forwarded-For": "198.51.100.3" }, localAddress: "127.0.0.2" })
		.catch((x) => x);
	assert.equal(no.status, 403);
	await gw.stop();
});

await finish();
