"""Trains and encodes with HuggingFace's native `tokenizers`, for tests/peers/tokenizers.test.ts.

Reads JSON from stdin: {"train": {"texts", "vocabSize"} or "json": tokenizer.json as text, "encode": [text]}.
Writes JSON to stdout: {"json": tokenizer.json, "ids": [[id]], "decoded": [text], "words": [[word]]}.
"""

import json
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


def train(texts, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


job = json.load(sys.stdin)
if "train" in job:
    tokenizer = train(job["train"]["texts"], job["train"]["vocabSize"])
else:
    tokenizer = Tokenizer.from_str(job["json"])
ids = [tokenizer.encode(text).ids for text in job["encode"]]
decoded = [tokenizer.decode(row, skip_special_tokens=False) for row in ids]
words = [[text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)] for text in job["encode"]]
json.dump({"json": json.loads(tokenizer.to_str()), "ids": ids, "decoded": decoded, "words": words}, sys.stdout)
