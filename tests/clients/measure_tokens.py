"""How close Tollgate's counts come to what models report: `scripts/measure-tokens` runs this.

llama.cpp reports the usage of chats with SmolLM2; for larger models, whose vocabulary is to be had but not its weights, the
reference implementation of Hugging Face counts the texts, as the servers of such models do.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from tokenizers import Tokenizer

from gguf_file import vocabulary
from llama_server import MODEL, weights
from support import Program

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"
TEXTS = ["english", "chinese", "code"]
ENCODINGS = ["o200k_base", "cl100k_base"]


def counted(program, with_what, files):
    """What Tollgate counts of each file."""
    done = subprocess.run([program, with_what, *files], check=True, capture_output=True, text=True)
    return [int(line.split("\t")[0]) for line in done.stdout.splitlines()]


def reported(url, body):
    """The input tokens that llama.cpp reports for a chat."""
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["usage"]["prompt_tokens"]


def chats(text):
    """A chat for each paragraph, so that a small model's context has room."""
    system = {"role": "system", "content": "Answer in one word."}
    for paragraph in text.split("\n\n"):
        messages = [system, {"role": "user", "content": paragraph}]
        yield {"model": MODEL, "max_tokens": 1, "messages": messages}


def row(name, text, truth, counts):
    def cell(count):
        return f"{count} ({100 * (count - truth) / truth:+.1f}%)"

    print(f"| {name} | {text} | {truth} | " + " | ".join(map(cell, counts)) + " |", flush=True)


def head(truth):
    print(f"| model | text | {truth} | o200k_base | cl100k_base | its vocabulary from disk |")
    print("|---|---|---|---|---|---|", flush=True)


def chats_with_a_real_model(program, scratch):
    """Chats, with their frames."""
    disk = scratch / "smollm2.json"
    disk.write_text(json.dumps(vocabulary(weights())))
    server = Program([sys.executable, Path(__file__).with_name("llama_server.py")])
    try:
        url = server.told(r"^listening on (\S+)")
        head("reported by llama.cpp")
        for text in TEXTS:
            bodies = list(chats((SAMPLES / f"{text}.txt").read_text()))
            truth = sum(reported(url, body) for body in bodies)
            files = []
            for index, body in enumerate(bodies):
                files.append(scratch / f"{text}-{index}.json")
                files[-1].write_text(json.dumps(body))
            counts = [sum(counted(program, each, files)) for each in [*ENCODINGS, disk]]
            row("SmolLM2-135M", f"{text}, {len(bodies)} chats", truth, counts)
    finally:
        server.stop()


def texts_of_large_models(program, folder):
    """Texts alone."""
    head("counted by its own tokenizer")
    for disk in sorted(folder.glob("*.json")):
        reference = Tokenizer.from_file(str(disk))
        for text in TEXTS:
            file = SAMPLES / f"{text}.txt"
            truth = len(reference.encode(file.read_text(), add_special_tokens=False).ids)
            counts = [counted(program, each, [file])[0] for each in [*ENCODINGS, disk]]
            row(disk.stem, text, truth, counts)


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        chats_with_a_real_model(program, Path(scratch))
    print()
    texts_of_large_models(program, folder)


if __name__ == "__main__":
    main()
