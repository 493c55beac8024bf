// LangChain for JavaScript.
"use strict";

const { HumanMessage, ToolMessage } = require("@langchain/core/messages");
const { tool } = require("@langchain/core/tools");
const { ChatOpenAI, DallEAPIWrapper } = require("@langchain/openai");
const { z } = require("zod");
const { speak, weather } = require("./speak.cjs");

function model(ask, options = {}) {
  return new ChatOpenAI({
    model: ask.model,
    apiKey: ask.api_key,
    configuration: { baseURL: ask.base_url },
    ...options,
  });
}

function told(message) {
  const usage = message.usage_metadata;
  return {
    text: message.content,
    finish: message.response_metadata.finish_reason,
    usage: usage ? { input: usage.input_tokens, output: usage.output_tokens } : null,
  };
}

/** All chunks, and the message that they are together. */
async function streamed(llm, input) {
  const chunks = [];
  for await (const chunk of await llm.stream(input)) chunks.push(chunk);
  return { chunks, whole: chunks.reduce((sum, chunk) => sum.concat(chunk)) };
}

const langChain = {
  text: async (ask) => told(await model(ask).invoke(ask.prompt)),

  async look(ask) {
    const content = [
      { type: "text", text: ask.prompt },
      { type: "image_url", image_url: { url: ask.picture } },
    ];
    return told(await model(ask).invoke([new HumanMessage({ content })]));
  },

  async stream(ask) {
    const { chunks, whole } = await streamed(model(ask, { streamUsage: ask.usage }), ask.prompt);
    return { ...told(whole), pieces: chunks.map((chunk) => chunk.content).filter(Boolean) };
  },

  async tools(ask) {
    const known = tool(weather, {
      name: "weather",
      description: "The weather of a city.",
      schema: z.object({ city: z.string() }),
    });
    const bound = model(ask).bindTools([known]);
    const said = async (messages) =>
      ask.stream ? (await streamed(bound, messages)).whole : bound.invoke(messages);
    const messages = [new HumanMessage(ask.prompt)];
    const calling = await said(messages);
    const results = await Promise.all(calling.tool_calls.map((call) => known.invoke(call)));
    if (!results.every((result) => result instanceof ToolMessage)) throw new Error("no ToolMessage");
    const answer = await said([...messages, calling, ...results]);
    const calls = calling.tool_calls.map((call) => ({ name: call.name, arguments: call.args }));
    return { calls, text: answer.content };
  },

  async image(ask) {
    const images = new DallEAPIWrapper({
      model: ask.model,
      n: ask.n,
      apiKey: ask.api_key,
      baseUrl: ask.base_url,
      dallEResponseFormat: "b64_json",
    });
    // Of several images it makes the parts of a message.
    const parts = await images.invoke(ask.prompt);
    return { images: parts.map((part) => part.image_url.url) };
  },
};

speak(langChain, (error) => ({
  type: error.constructor.name,
  status: error.status,
  code: error.code,
  message: error.message,
}));
