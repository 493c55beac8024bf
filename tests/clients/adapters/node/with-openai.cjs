// The official SDK for Node.
"use strict";

const OpenAI = require("openai");
const { speak, weather } = require("./speak.cjs");

const client = (ask) => new OpenAI({ baseURL: ask.base_url, apiKey: ask.api_key });
const user = (content) => [{ role: "user", content }];

function counts(usage) {
  return usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null;
}

async function said(ask, content) {
  const answer = await client(ask).chat.completions.create({ model: ask.model, messages: user(content) });
  const [choice] = answer.choices;
  return { text: choice.message.content, finish: choice.finish_reason, usage: counts(answer.usage) };
}

const official = {
  text: (ask) => said(ask, ask.prompt),

  look: (ask) =>
    said(ask, [
      { type: "text", text: ask.prompt },
      { type: "image_url", image_url: { url: ask.picture } },
    ]),

  async stream(ask) {
    const chunks = await client(ask).chat.completions.create({
      model: ask.model,
      messages: user(ask.prompt),
      stream: true,
      ...(ask.usage && { stream_options: { include_usage: true } }),
    });
    const pieces = [];
    let finish = null;
    let usage = null;
    for await (const chunk of chunks) {
      for (const choice of chunk.choices) {
        if (choice.delta.content) pieces.push(choice.delta.content);
        finish = choice.finish_reason ?? finish;
      }
      usage = counts(chunk.usage) ?? usage;
    }
    return { text: pieces.join(""), pieces, finish, usage };
  },

  async tools(ask) {
    const calls = [];
    const run = (args) => {
      calls.push({ name: "weather", arguments: args });
      return weather(args);
    };
    const runner = client(ask).chat.completions.runTools({
      model: ask.model,
      messages: user(ask.prompt),
      stream: ask.stream,
      tools: [
        {
          type: "function",
          function: {
            name: "weather",
            description: "The weather of a city.",
            parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
            parse: JSON.parse,
            function: run,
          },
        },
      ],
    });
    return { text: await runner.finalContent(), calls };
  },

  async image(ask) {
    const answer = await client(ask).images.generate({
      model: ask.model,
      prompt: ask.prompt,
      n: ask.n,
      response_format: "b64_json",
    });
    return { images: answer.data.map((image) => image.b64_json) };
  },
};

speak(official, (error) => ({
  type: error.constructor.name,
  status: error.status,
  code: error.code,
  message: error.message,
}));
