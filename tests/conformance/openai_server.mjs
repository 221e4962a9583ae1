// SPDX-License-Identifier: MIT
// A model server that we did not write: @copilotkit/aimock on a free port of this
// machine. It speaks both APIs that the drivers know, streams, and has no network.
import { LLMock } from "@copilotkit/aimock";
import { atEnd } from "./lib.mjs";

export const ANSWER =
	"The quick brown fox jumps over the lazy dog, naïvely — 🦊.";

// api: "openai-completions" or "anthropic-messages".
export class OpenAIServer {
	async start() {
		this.mock = new LLMock({ port: 0, chunkSize: 6 });
		// First: a question without an answer and the next one are one
		// message in the other API.
		this.mock.onMessage(/slowly$/, { content: "word ".repeat(2000).trim() },
			{ latency: 20 });
		this.mock.onMessage(/fox/, { content: ANSWER });
		await this.mock.start();
		atEnd(() => this.mock.stop());
		return this;
	}

	get requests() {
		return this.mock.getRequests();
	}

	// The answers that come next, once each, before any other.
	failNext(status, message, type) {
		this.mock.nextRequestError(status, { message, type });
	}

	config(api) {
		return {
			models: { providers: { other: {
				baseUrl: api === "openai-completions" ?
					`${this.mock.url}/v1` : this.mock.url,
				apiKey: "planted-key-0123456789", api,
				models: [{ id: "fox-1", name: "Fox", contextWindow: 32000 }],
			} } },
			agents: { defaults: { model: { primary: "other/fox-1" } } },
		};
	}
}
