// The official SDK for Node, its Responses API.
"use strict";

const OpenAI = require("openai");
const { speak, weather } = require("./speak.cjs");

const client = (ask) => new OpenAI({ baseURL: ask.base_url, apiKey: ask.api_key });

const counts = (usage) => ({ input: usage.input_tokens, output: usage.output_tokens });

const finishes = { completed: "stop", incomplete: "length" };

/** A response in the words of the tests. */
function told(response) {
  return { text: response.output_text, finish: finishes[response.status], usage: counts(response.usage) };
}

/** The response, streamed or not. */
async function respond(ask, more) {
  const body = { model: ask.model, ...more };
  if (!ask.stream) return client(ask).responses.create(body);
  return client(ask).responses.stream(body).finalResponse();
}

const official = {
  text: async (ask) => told(await respond(ask, { input: ask.prompt })),

  async look(ask) {
    const content = [
      { type: "input_text", text: ask.prompt },
      { type: "input_image", image_url: ask.picture },
    ];
    return told(await respond(ask, { input: [{ role: "user", content }] }));
  },

  async stream(ask) {
    const events = await client(ask).responses.create({ model: ask.model, input: ask.prompt, stream: true });
    const pieces = [];
    let last = null;
    for await (const event of events) {
      if (event.type === "response.output_text.delta") pieces.push(event.delta);
      last = event;
    }
    return { ...told(last.response), text: pieces.join(""), pieces };
  },

  async tools(ask) {
    const tools = [
      {
        type: "function",
        name: "weather",
        description: "The weather of a city.",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        strict: false,
      },
    ];
    const input = [{ role: "user", content: ask.prompt }];
    const calling = await respond(ask, { input, tools });
    const calls = [];
    for (const item of calling.output) {
      const { parsed_arguments: _, ...call } = item;
      const args = JSON.parse(call.arguments);
      calls.push({ name: call.name, arguments: args });
      input.push(call, { type: "function_call_output", call_id: call.call_id, output: weather(args) });
    }
    const answer = await respond(ask, { input, tools });
    return { text: answer.output_text, calls };
  },
};

speak(official, (error) => ({
  type: error.constructor.name,
  status: error.status,
  code: error.code,
  message: error.message,
}));
