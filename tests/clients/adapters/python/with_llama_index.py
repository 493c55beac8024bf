"""LlamaIndex's OpenAILike."""

from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from speak import WEATHER, speak


def weather(city: str) -> str:
    """The weather of a city."""
    return WEATHER.format(city=city)


def model(ask, **options):
    return OpenAILike(
        model=ask["model"],
        api_base=ask["base_url"],
        api_key=ask["api_key"],
        is_chat_model=True,
        is_function_calling_model=True,
        **options,
    )


def counts(raw):
    usage = raw.usage
    return {"input": usage.prompt_tokens, "output": usage.completion_tokens} if usage else None


def told(response):
    raw = response.raw
    return {
        "text": response.message.content,
        "finish": raw.choices[0].finish_reason,
        "usage": counts(raw),
    }


class LlamaIndex:
    def text(self, ask):
        return told(model(ask).chat([ChatMessage(role="user", content=ask["prompt"])]))

    def look(self, ask):
        blocks = [TextBlock(text=ask["prompt"]), ImageBlock(url=ask["picture"])]
        return told(model(ask).chat([ChatMessage(role="user", blocks=blocks)]))

    def stream(self, ask):
        options = {"additional_kwargs": {"stream_options": {"include_usage": True}}} if ask["usage"] else {}
        pieces, finish, usage = [], None, None
        for part in model(ask, **options).stream_chat([ChatMessage(role="user", content=ask["prompt"])]):
            if part.delta:
                pieces.append(part.delta)
            for choice in part.raw.choices:
                finish = choice.finish_reason or finish
            usage = counts(part.raw) or usage
        return {"text": part.message.content, "pieces": pieces, "finish": finish, "usage": usage}

    def tools(self, ask):
        llm, known = model(ask), [FunctionTool.from_defaults(fn=weather)]

        def said(messages):
            if not ask["stream"]:
                return llm.chat_with_tools(known, chat_history=messages)
            *_, last = llm.stream_chat_with_tools(known, chat_history=messages)
            return last

        messages = [ChatMessage(role="user", content=ask["prompt"])]
        calling = said(messages)
        chosen = llm.get_tool_calls_from_response(calling)
        results = [
            ChatMessage(
                role="tool",
                content=str(known[0].call(**call.tool_kwargs)),
                additional_kwargs={"tool_call_id": call.tool_id},
            )
            for call in chosen
        ]
        answer = said([*messages, calling.message, *results])
        calls = [{"name": call.tool_name, "arguments": call.tool_kwargs} for call in chosen]
        return {"calls": calls, "text": answer.message.content}


speak(LlamaIndex())
