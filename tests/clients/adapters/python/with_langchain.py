"""LangChain's ChatOpenAI."""

from functools import reduce
from operator import add

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from speak import WEATHER, picture_and, speak


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return WEATHER.format(city=city)


def model(ask, **options):
    return ChatOpenAI(model=ask["model"], base_url=ask["base_url"], api_key=ask["api_key"], **options)


def counts(message):
    usage = message.usage_metadata
    return {"input": usage["input_tokens"], "output": usage["output_tokens"]} if usage else None


def told(message):
    finish = message.response_metadata.get("finish_reason")
    return {"text": message.content, "finish": finish, "usage": counts(message)}


class LangChain:
    def text(self, ask):
        return told(model(ask).invoke(ask["prompt"]))

    def look(self, ask):
        return told(model(ask).invoke([HumanMessage(picture_and(ask["prompt"], ask["picture"]))]))

    def stream(self, ask):
        chunks = list(model(ask, stream_usage=ask["usage"]).stream(ask["prompt"]))
        whole = told(reduce(add, chunks))
        return {**whole, "pieces": [chunk.content for chunk in chunks if chunk.content]}

    def tools(self, ask):
        bound = model(ask).bind_tools([weather])

        def said(messages):
            return reduce(add, bound.stream(messages)) if ask["stream"] else bound.invoke(messages)

        messages = [HumanMessage(ask["prompt"])]
        calling = said(messages)
        results = [weather.invoke(call) for call in calling.tool_calls]
        assert all(isinstance(result, ToolMessage) for result in results)
        answer = said([*messages, calling, *results])
        calls = [{"name": call["name"], "arguments": call["args"]} for call in calling.tool_calls]
        return {"calls": calls, "text": answer.content}


speak(LangChain())
