"""One spelling for the synchronous and the asynchronous client of the openai package."""

import inspect
from contextlib import asynccontextmanager

HELLO = [{"role": "user", "content": "Hello!"}]


async def settled(value):
    """The value, awaited where the client is an asynchronous one."""
    return await value if inspect.isawaitable(value) else value


async def items(stream):
    """All items of a stream or a page."""
    stream = await settled(stream)
    if hasattr(stream, "__aiter__"):
        return [item async for item in stream]
    return list(stream)


@asynccontextmanager
async def entered(manager):
    """Inside of a context manager of either kind."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def told(call_id, **directions):
    """Headers that direct the mock: `told(id, fault="hang")`."""
    headers = {f"x-mock-{name.replace('_', '-')}": str(value) for name, value in directions.items()}
    return {"x-mock-id": call_id, **headers}


def content(chunks):
    """The text of a stream."""
    deltas = (choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return "".join(deltas)
