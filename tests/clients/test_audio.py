"""Speech and recordings by the official SDK: characters, seconds and tokens, each with its exact charge."""

import io
import json
import wave
from decimal import Decimal

import openai
import pytest

from conftest import PRICES
from sdk import items, settled
from support import cost, plain

TEXT = "Halt! Pay the toll, 旅行者."


def fault(name):
    return {"x-simulator-fault": name}


def recording(seconds):
    """Silence, as a file to send."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(b"\x80" * int(8000 * seconds))
    return ("speech.wav", file.getvalue(), "audio/wav")


def charged(customer, usage, model):
    """The receipt of the customer's only request, which has this usage and its exact cost."""
    (receipt,) = customer.receipts()
    assert (receipt["usage"], receipt["counted"], receipt["shortfall"]) == (usage, "exact", "0")
    assert receipt["cost"] == plain(cost(usage, PRICES[model]))
    assert customer.wallet()["balance"] == plain(10 - Decimal(receipt["cost"]))
    return receipt


async def test_speech_is_a_sound_that_costs_its_characters(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(
        client.audio.speech.with_raw_response.create(
            model="sim/speech", voice="alloy", input=TEXT, response_format="wav"
        )
    )
    speech = raw.parse()
    with wave.open(io.BytesIO(speech.content)) as sound:
        assert sound.getnframes() > 0 and sound.getframerate() == 8000
    receipt = charged(customer, {"characters": len(TEXT)}, "sim/speech")
    # Sound flows as it is made, so that its headers leave before the charge is known.
    assert raw.headers["content-type"] == "audio/wav"
    assert raw.headers["x-tollgate-hold"] == receipt["cost"]
    assert customer.get(f"/receipts/{raw.headers['x-tollgate-request-id']}")[1]["cost"] == receipt["cost"]


async def test_streamed_speech_ends_with_its_usage_and_costs_the_same(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    speech = await settled(
        client.audio.speech.create(model="sim/speech", voice="alloy", input=TEXT, stream_format="sse")
    )
    lines = speech.content.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert (events[0]["type"], events[-1]["type"]) == ("speech.audio.delta", "speech.audio.done")
    assert events[-1]["usage"]["input_tokens"] > 0
    (receipt,) = customer.receipts()
    assert receipt["usage"]["characters"] == len(TEXT)
    assert receipt["cost"] == plain(cost({"characters": len(TEXT)}, PRICES["sim/speech"]))


@pytest.mark.parametrize("seconds", [3, 2.5], ids=["whole", "begun"])
async def test_a_transcription_costs_its_seconds(sdk, proxy, seconds):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(
        client.audio.transcriptions.with_raw_response.create(model="sim/whisper", file=recording(seconds))
    )
    transcription = raw.parse()
    assert "3 seconds" in transcription.text
    assert (transcription.usage.type, transcription.usage.seconds) == ("duration", 3)
    receipt = charged(customer, {"seconds": 3}, "sim/whisper")
    assert raw.headers["x-tollgate-cost"] == receipt["cost"]


async def test_a_transcription_costs_its_tokens_where_the_model_counts_them(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    transcription = await settled(
        client.audio.transcriptions.create(model="sim/transcribe", file=recording(3), prompt="A toll")
    )
    usage = transcription.usage
    assert (usage.type, usage.input_token_details.audio_tokens, usage.input_token_details.text_tokens) == ("tokens", 30, 2)
    charged(customer, {"input": 2, "audio_input": 30, "output": usage.output_tokens}, "sim/transcribe")


@pytest.mark.parametrize("form", ["verbose_json", "text", "srt", "vtt"])
async def test_whatever_form_was_asked_for_the_seconds_are_charged(sdk, proxy, form):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    answer = await settled(
        client.audio.transcriptions.create(model="sim/whisper", file=recording(3), response_format=form)
    )
    text = answer if isinstance(answer, str) else answer.text
    assert "3 seconds" in text
    (receipt,) = customer.receipts()
    assert receipt["usage"] == {"seconds": 3}
    assert receipt["counted"] == ("exact" if form == "verbose_json" else "estimated")
    assert receipt["cost"] == plain(cost({"seconds": 3}, PRICES["sim/whisper"]))


@pytest.mark.parametrize("model", ["sim/whisper", "sim/transcribe"])
async def test_a_streamed_transcription_is_charged_before_its_end(sdk, proxy, model):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    events = await items(client.audio.transcriptions.create(model=model, file=recording(3), stream=True))
    (receipt,) = customer.receipts()
    text = "".join(event.delta for event in events if event.type == "transcript.text.delta")
    assert (events[-1].type, events[-1].text) == ("transcript.text.done", text)
    told = events[-1].usage
    usage = {"seconds": 3} if model == "sim/whisper" else {"audio_input": 30, "output": told.output_tokens}
    assert charged(customer, usage, model) == receipt


async def test_a_translation_costs_its_seconds(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    translation = await settled(
        client.audio.translations.create(model="sim/whisper", file=recording(3), response_format="verbose_json")
    )
    assert (translation.duration, "3 seconds" in translation.text) == (3, True)
    charged(customer, {"seconds": 3}, "sim/whisper")


async def test_refusals_and_errors_are_the_sdks_own_and_free(sdk, proxy, tap):
    poor = proxy.customer(balance="0")
    client = sdk(tap.base_url, poor.secret)
    for answer in [
        lambda: client.audio.speech.create(model="sim/speech", voice="alloy", input=TEXT),
        lambda: client.audio.transcriptions.create(model="sim/whisper", file=recording(3)),
    ]:
        before = tap.requests
        with pytest.raises(openai.APIStatusError, match="CNY is available") as caught:
            await settled(answer())
        assert (caught.value.status_code, tap.requests - before) == (402, 1)
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret, max_retries=0)
    with pytest.raises(openai.InternalServerError, match="simulated fault: status 500"):
        await settled(
            client.audio.transcriptions.create(
                model="sim/whisper", file=recording(3), extra_headers=fault("status=500")
            )
        )
    with pytest.raises(openai.BadRequestError, match="file"):
        await settled(client.audio.transcriptions.create(model="sim/whisper", file=("empty.wav", b"", "audio/wav")))
    assert customer.settled()["balance"] == "10"
