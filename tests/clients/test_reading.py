"""What reads and writes nothing: moderations by the official SDK, and rerank, for which it has no call."""

from decimal import Decimal

from conftest import PRICES
from sdk import settled
from support import cost, plain


async def test_moderations_are_read_by_the_sdk_and_free(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(
        client.moderations.with_raw_response.create(
            model="sim/moderation", input=["What is a toll?", "I will kill the keeper"]
        )
    )
    harmless, harmful = raw.parse().results
    assert (harmless.flagged, harmful.flagged) == (False, True)
    assert harmful.categories.violence and not harmful.categories.hate_threatening
    assert raw.headers["x-tollgate-cost"] == "0"
    assert customer.wallet()["balance"] == "10"
    assert len(customer.receipts()) == 1


async def test_rerank_orders_documents_and_costs_what_they_and_the_query_count(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    body = {"model": "sim/rerank", "query": "toll gate", "documents": ["A bridge", "The toll gate"]}
    # The SDK's own way to a path that it has no method for.
    answer = await settled(client.post("/rerank", cast_to=object, body=body))
    assert [each["index"] for each in answer["results"]] == [1, 0]
    usage = {"input": answer["usage"]["total_tokens"]}
    receipt = customer.receipts()[0]
    assert (receipt["usage"], receipt["counted"]) == (usage, "exact")
    assert receipt["cost"] == plain(cost(usage, PRICES["sim/rerank"]))
    assert customer.wallet()["balance"] == plain(10 - Decimal(receipt["cost"]))
