// Vercel's AI SDK, with the provider that is named as the argument: `openai` (chat, or `openai-responses`),
// `openai-compatible` or `anthropic`.
"use strict";

const { generateImage, generateText, isStepCount, streamText, tool } = require("ai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { z } = require("zod");
const { speak, weather } = require("./speak.cjs");

const [kind] = process.argv.slice(2);

const providers = {
  openai(ask) {
    const provider = createOpenAI({ baseURL: ask.base_url, apiKey: ask.api_key });
    // Without `.chat` it speaks the Responses API.
    return { chat: provider.chat(ask.model), image: () => provider.image(ask.model) };
  },
  "openai-responses"(ask) {
    const provider = createOpenAI({ baseURL: ask.base_url, apiKey: ask.api_key });
    // Left to itself it refers to what the provider has stored, which customers of one provider's key must not.
    return { chat: provider(ask.model), settings: { providerOptions: { openai: { store: false } } } };
  },
  anthropic(ask) {
    const provider = createAnthropic({ baseURL: ask.base_url, apiKey: ask.api_key });
    // Left to itself it asks a model that it does not know for 4096 tokens, which is more than some can give.
    return { chat: provider(ask.model), settings: { maxOutputTokens: 1000 } };
  },
  "openai-compatible"(ask) {
    const options = { name: "tollgate", baseURL: ask.base_url, apiKey: ask.api_key, includeUsage: ask.usage };
    const provider = createOpenAICompatible(options);
    return { chat: provider.chatModel(ask.model), image: () => provider.imageModel(ask.model) };
  },
};
const provider = providers[kind];

const counts = (usage) => ({ input: usage.inputTokens, output: usage.outputTokens });

/** The model, and what its provider has to be told. */
function model(ask) {
  const { chat, settings } = provider(ask);
  return { model: chat, ...settings };
}

async function said(ask, prompt) {
  const answer = await generateText({ ...model(ask), ...prompt });
  return { text: answer.text, finish: answer.finishReason, usage: counts(answer.usage) };
}

/** A stream that throws its error, as an application would have it; by itself it only logs it. */
function streamed(options) {
  let failure;
  const stream = streamText({ ...options, onError: ({ error }) => (failure = error) });
  return { stream, check: () => { if (failure) throw failure; } };
}

const aiSdk = {
  text: (ask) => said(ask, { prompt: ask.prompt }),

  look: (ask) =>
    said(ask, {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: ask.prompt },
            { type: "file", data: ask.picture, mediaType: "image/png" },
          ],
        },
      ],
    }),

  async stream(ask) {
    const { stream, check } = streamed({ ...model(ask), prompt: ask.prompt });
    const pieces = [];
    for await (const piece of stream.textStream) pieces.push(piece);
    check();
    return {
      text: await stream.text,
      pieces,
      finish: await stream.finishReason,
      usage: ask.usage ? counts(await stream.usage) : null,
    };
  },

  async tools(ask) {
    const calls = [];
    const known = tool({
      description: "The weather of a city.",
      inputSchema: z.object({ city: z.string() }),
      execute(args) {
        calls.push({ name: "weather", arguments: args });
        return weather(args);
      },
    });
    const options = {
      ...model(ask),
      prompt: ask.prompt,
      tools: { weather: known },
      stopWhen: isStepCount(3),
    };
    if (!ask.stream) return { text: (await generateText(options)).text, calls };
    const { stream, check } = streamed(options);
    await stream.consumeStream();
    check();
    return { text: await stream.text, calls };
  },

  async image(ask) {
    const { images } = await generateImage({ model: provider(ask).image(), prompt: ask.prompt, n: ask.n });
    return { images: images.map((image) => image.base64) };
  },
};

/** After its last try the SDK throws a `RetryError` around what happened. */
speak(aiSdk, (error) => {
  const cause = error.lastError ?? error;
  return {
    type: error.name,
    status: cause.statusCode,
    code: cause.data?.error?.code,
    message: error.message,
  };
});
