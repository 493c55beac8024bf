"""Images as streams of previews, by the official SDK: the last event brings the picture and, by then, the charge."""

import base64
from decimal import Decimal

import openai
import pytest

from conftest import PRICES
from sdk import items, settled
from support import cost, plain

PNG = b"\x89PNG\r\n\x1a\n"
ASK = {"prompt": "a toll gate", "stream": True, "partial_images": 2}


def fault(name):
    return {"x-simulator-fault": name}


async def test_previews_come_before_the_picture_which_is_charged_by_its_tokens(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    events = await items(client.images.generate(model="sim/gpt-image", quality="low", **ASK))
    receipt = customer.receipts()[0]
    preview = "image_generation.partial_image"
    assert [event.type for event in events] == [preview, preview, "image_generation.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert all(base64.b64decode(event.b64_json).startswith(PNG) for event in events)
    usage = events[-1].usage
    assert (usage.input_tokens, usage.output_tokens) == (3, 272 + 2 * 100)
    tokens = {"input": usage.input_tokens, "output": usage.output_tokens}
    charge = plain(cost(tokens, PRICES["sim/gpt-image"]))
    assert (receipt["cost"], receipt["counted"], receipt["shortfall"]) == (charge, "exact", "0")
    assert customer.wallet()["balance"] == plain(10 - Decimal(charge))


async def test_a_picture_has_its_price_however_many_previews_it_had(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    await items(client.images.generate(model="sim/image", **ASK))
    assert customer.receipts()[0]["cost"] == PRICES["sim/image"]["images"]


async def test_the_dearest_picture_is_within_what_was_held(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    await items(
        client.images.generate(
            model="sim/gpt-image", quality="high", size="1024x1536", prompt="a gate", stream=True, partial_images=3
        )
    )
    receipt = customer.receipts()[0]
    tokens = {"input": 2, "output": 6240 + 3 * 100}
    assert (receipt["cost"], receipt["shortfall"]) == (plain(cost(tokens, PRICES["sim/gpt-image"])), "0")


@pytest.mark.parametrize("name", ["image-error", "error-event"])
async def test_a_picture_that_was_not_made_is_not_charged(sdk, proxy, name):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    with pytest.raises(openai.APIError, match="simulated fault"):
        await items(client.images.generate(model="sim/image", extra_headers=fault(name), **ASK))
    wallet = customer.settled()
    assert (wallet["balance"], wallet["holds"]) == ("10", 0)


async def test_a_refusal_comes_before_the_first_event(sdk, proxy, tap):
    client = sdk(tap.base_url, proxy.customer(balance="0.1").secret)
    with pytest.raises(openai.APIStatusError, match="CNY is available") as caught:
        await settled(client.images.generate(model="sim/image", **ASK))
    assert (caught.value.status_code, tap.requests) == (402, 1)
