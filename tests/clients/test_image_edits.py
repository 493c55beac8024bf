"""Edits and variations by the official SDK, which sends them as forms: tokens or images, each with its exact charge."""

import base64
from decimal import Decimal

import openai
import pytest

from conftest import PRICES
from sdk import items, settled
from support import cost, plain

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def picture(name="gate.png"):
    return (name, PNG, "image/png")


def charged(customer, charge):
    """The receipt of the customer's only request, which cost this."""
    (receipt,) = customer.receipts()
    assert (receipt["cost"], receipt["counted"], receipt["shortfall"]) == (plain(charge), "exact", "0")
    assert customer.wallet()["balance"] == plain(10 - charge)
    return receipt


def by_tokens(usage):
    """What an image model charges; pictures that are sent cost as words do."""
    return cost({"input": usage.input_tokens, "output": usage.output_tokens}, PRICES["sim/gpt-image"])


async def test_an_edit_of_several_pictures_is_charged_by_its_tokens(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    images = await settled(
        client.images.edit(
            model="sim/gpt-image", image=[picture(), picture("wall.png")], prompt="at night", n=2, quality="low"
        )
    )
    assert len(images.data) == 2
    assert all(base64.b64decode(image.b64_json).startswith(b"\x89PNG") for image in images.data)
    assert (images.usage.input_tokens, images.usage.output_tokens) == (2 + 2 * 85, 2 * 272)
    charged(customer, by_tokens(images.usage))


async def test_a_streamed_edit_is_charged_before_its_end(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    events = await items(
        client.images.edit(
            model="sim/gpt-image", image=picture(), prompt="at night", stream=True, partial_images=1, quality="low"
        )
    )
    receipt = customer.receipts()[0]
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert charged(customer, by_tokens(events[-1].usage)) == receipt


async def test_pictures_have_their_price_where_the_model_has_one(sdk, proxy):
    price = Decimal(PRICES["sim/image"]["images"])
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    await settled(client.images.edit(model="sim/image", image=picture(), prompt="at night", n=2))
    charged(customer, 2 * price)
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    images = await settled(
        client.images.create_variation(
            model="sim/image", image=picture(), n=3, extra_headers={"x-simulator-fault": "image-error"}
        )
    )
    # The last was not made.
    assert len(images.data) == 3
    charged(customer, 2 * price)


async def test_refusals_are_the_sdks_own_errors(sdk, proxy, tap):
    client = sdk(tap.base_url, proxy.customer(balance="0.1").secret)
    with pytest.raises(openai.APIStatusError, match="CNY is available") as caught:
        await settled(client.images.edit(model="sim/image", image=picture(), prompt="at night"))
    assert (caught.value.status_code, tap.requests) == (402, 1)
