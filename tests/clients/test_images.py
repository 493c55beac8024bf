"""Images by the official SDK: entries are counted, free ones first, and edits go through as JSON."""

import base64
from decimal import Decimal

import pytest

from conftest import PRICES
from sdk import settled, told
from support import cost, dictionary, plain

PRICE = Decimal(PRICES["mock/image"]["images"])
PNG = b"\x89PNG\r\n\x1a\n"


def header(response, name):
    return response.headers[f"x-tollgate-{name}"]


async def test_images_are_charged_one_by_one_once_the_free_ones_are_gone(sdk, proxy, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    bills = []
    for _ in range(3):
        raw = await settled(
            client.images.with_raw_response.generate(
                model="mock/image", prompt="a gate", n=2, extra_headers=told(call_id)
            )
        )
        assert len(raw.parse().data) == 2
        assert dictionary(header(raw, "usage")) == {"images": 2}
        bills.append((dictionary(header(raw, "free")), header(raw, "cost")))
    # Three are free: two of the first request, one of the second.
    assert bills == [
        ({"images": 2}, "0"),
        ({"images": 1}, plain(PRICE)),
        ({"images": 0}, plain(cost({"images": 2}, PRICES["mock/image"]))),
    ]
    assert customer.wallet()["balance"] == plain(Decimal(10) - 3 * PRICE)


async def test_images_that_were_not_made_are_not_charged(sdk, proxy, call_id):
    customer = proxy.customer(grants="none")
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(
        client.images.with_raw_response.generate(
            model="mock/image", prompt="a gate", n=3, extra_headers=told(call_id, image_errors=2)
        )
    )
    assert len(raw.parse().data) == 3
    assert header(raw, "cost") == plain(PRICE)


@pytest.mark.parametrize("form", ["url", "b64_json"])
async def test_images_come_in_the_form_that_was_asked_for(sdk, demo, form):
    client = sdk(demo["base_url"], demo["api_key"])
    images = await settled(
        client.images.generate(model="black-forest-labs/flux.1-dev", prompt="a gate", n=2, response_format=form)
    )
    assert len(images.data) == 2
    for image in images.data:
        written = getattr(image, form).rsplit(",", 1)[-1]
        assert base64.b64decode(written).startswith(PNG)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("Step1X Edit", {"image": "data:image/png;base64,iVBORw0KGgo="}),
        ("Flux Kontext Max", {"image": "https://images.example/gate.png", "seed": 3}),
        ("Flux Kontext Pro Multi", {"images": ["https://images.example/1.png", "https://images.example/2.png"]}),
    ],
)
async def test_edits_are_sent_with_extra_body(sdk, demo, model, fields):
    client = sdk(demo["base_url"], demo["api_key"])
    raw = await settled(
        client.images.with_raw_response.generate(model=model, prompt="at night", extra_body=fields)
    )
    assert len(raw.parse().data) == 1
    assert dictionary(header(raw, "usage")) == {"images": 1}


async def test_edit_fields_reach_the_upstream_unchanged(sdk, proxy, mock, call_id):
    client = sdk(proxy.base_url, proxy.customer().secret)
    fields = {"images": ["https://images.example/1.png"], "guidance_scale": 2.5}
    await settled(
        client.images.generate(model="mock/image", prompt="at night", extra_body=fields, extra_headers=told(call_id))
    )
    _, body = mock.last()
    assert body == {"model": "mock/image", "prompt": "at night", **fields}
