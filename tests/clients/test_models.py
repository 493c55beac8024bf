"""The list of models as the SDK reads it, and what Tollgate adds to it."""

import openai
import pytest

from sdk import items, settled


async def test_the_list_has_every_model_with_its_price_and_quota(sdk, demo):
    client = sdk(demo["base_url"], demo["api_key"])
    models = {model.id: model for model in await items(client.models.list())}
    assert len(models) == 22
    model = models["deepseek-ai/DeepSeek-R1"]
    assert (model.object, model.owned_by) == ("model", "deepseek-ai")
    assert model.aliases == ["DeepSeek-R1"]
    assert model.category == "chat"
    assert model.pricing["currency"] == "CNY"
    assert model.pricing["meters"]["input"] == {"price": "4", "per": "1M tokens"}
    assert model.pricing["meters"]["output"] == {"price": "16", "per": "1M tokens"}
    assert [quota["name"] for quota in model.free_quota] == ["free-chat"]
    image = models["black-forest-labs/flux.1-dev"]
    assert image.category == "text-to-image"
    assert image.pricing["meters"]["images"]["price"] == "0.1"


@pytest.mark.parametrize(
    "name", ["black-forest-labs/flux-kontext-max/multi", "Flux Kontext Max Multi", "Kimi-K2-Instruct"]
)
async def test_one_model_is_found_by_id_or_alias_slashes_and_all(sdk, demo, name):
    client = sdk(demo["base_url"], demo["api_key"])
    model = await settled(client.models.retrieve(name))
    assert name in (model.id, *model.aliases)
    assert model.pricing["free"] is False


async def test_a_key_sees_only_what_it_may_use(sdk, proxy):
    client = sdk(proxy.base_url, proxy.customer(models=["chat"]).secret)
    assert [model.id for model in await items(client.models.list())] == ["mock/chat"]
    with pytest.raises(openai.NotFoundError) as caught:
        await settled(client.models.retrieve("mock/image"))
    assert caught.value.code == "model_not_found"


async def test_an_unknown_model_is_not_found(sdk, demo):
    client = sdk(demo["base_url"], demo["api_key"])
    with pytest.raises(openai.NotFoundError) as caught:
        await settled(client.models.retrieve("no/such/model"))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
