"""LiteLLM as a client, by its provider for OpenAI-compatible servers."""

import json

import litellm

from speak import WEATHER, picture_and, speak

litellm.telemetry = False

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def where(ask):
    return {"model": f"openai/{ask['model']}", "api_base": ask["base_url"], "api_key": ask["api_key"]}


def said(ask, content, **options):
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    return litellm.completion(messages=messages, **where(ask), **options)


def counts(usage):
    return {"input": usage.prompt_tokens, "output": usage.completion_tokens} if usage else None


def told(answer):
    choice = answer.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": counts(answer.usage)}


class LiteLlm:
    def text(self, ask):
        return told(said(ask, ask["prompt"]))

    def look(self, ask):
        return told(said(ask, [{"role": "user", "content": picture_and(ask["prompt"], ask["picture"])}]))

    def stream(self, ask):
        options = {"stream_options": {"include_usage": True}} if ask["usage"] else {}
        pieces, finish, usage = [], None, None
        for chunk in said(ask, ask["prompt"], stream=True, **options):
            for choice in chunk.choices:
                pieces.extend([choice.delta.content] if choice.delta.content else [])
                finish = choice.finish_reason or finish
            usage = counts(getattr(chunk, "usage", None)) or usage
        return {"text": "".join(pieces), "pieces": pieces, "finish": finish, "usage": usage}

    def tools(self, ask):
        def reply(messages):
            answer = said(ask, messages, tools=[TOOL], stream=ask["stream"])
            answer = litellm.stream_chunk_builder(list(answer)) if ask["stream"] else answer
            return answer.choices[0].message

        messages = [{"role": "user", "content": ask["prompt"]}]
        calling = reply(messages)
        calls, results = [], []
        for call in calling.tool_calls:
            arguments = json.loads(call.function.arguments)
            calls.append({"name": call.function.name, "arguments": arguments})
            result = WEATHER.format(**arguments)
            results.append({"role": "tool", "tool_call_id": call.id, "content": result})
        answer = reply([*messages, calling.model_dump(), *results])
        return {"calls": calls, "text": answer.content}

    def image(self, ask):
        # It knows of no `response_format` for a model that it does not know.
        answer = litellm.image_generation(prompt=ask["prompt"], n=ask["n"], **where(ask))
        return {"images": [image.url.rsplit(",", 1)[-1] for image in answer.data]}


speak(LiteLlm())
