"""Reads the vocabulary in a model's GGUF file, and writes it as Hugging Face's `tokenizer.json` has it."""

import struct

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
SPECIAL = 3


class Reader:
    def __init__(self, file):
        self.file = file

    def scalar(self, shape):
        return struct.unpack(shape, self.file.read(struct.calcsize(shape)))[0]

    def string(self):
        return self.file.read(self.scalar("<Q")).decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, length = self.scalar("<I"), self.scalar("<Q")
            return [self.value(kind) for _ in range(length)]
        return self.scalar(SCALARS[kind])


def metadata(path):
    """Everything that a GGUF file says of its model."""
    with open(path, "rb") as file:
        reader = Reader(file)
        assert file.read(4) == b"GGUF", path
        reader.scalar("<I")  # the format's version
        reader.scalar("<Q")  # tensors
        pairs = reader.scalar("<Q")
        return {reader.string(): reader.value(reader.scalar("<I")) for _ in range(pairs)}


def vocabulary(path):
    """The byte-level BPE of a model that splits texts as SmolLM does: digits one by one, then as GPT-2."""
    facts = metadata(path)
    assert facts["tokenizer.ggml.model"] == "gpt2", facts["tokenizer.ggml.model"]
    assert facts["tokenizer.ggml.pre"] == "smollm", facts["tokenizer.ggml.pre"]
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": id, "content": tokens[id], **flags} for id, kind in enumerate(kinds) if kind == SPECIAL]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    steps = [{"type": "Digits", "individual_digits": True}, byte_level]
    merges = [merge.split(" ") for merge in facts["tokenizer.ggml.merges"]]
    vocab = {token: id for id, token in enumerate(tokens)}
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }
