"""Builds, trains and runs HuggingFace's native `tokenizers`, for tests/peers/tokenizers.test.ts and tokenizerLayouts.test.ts.

Reads JSON from stdin: {"train": {"texts", "vocabSize", "layout"} or "json": tokenizer.json as text, "encode": [text],
"addSpecialTokens": bool, "encodeSpecialTokens": bool}.
Writes JSON to stdout: {"json": tokenizer.json, "ids": [[id]], "decoded": [text], "words": [[word]]}.
"""

import json
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern=Regex(pattern), behavior=behavior, invert=invert)


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


PRE_TOKENIZERS = {
    "gpt2": lambda: byte_level(True),
    "llama3": lambda: pre_tokenizers.Sequence([split(LLAMA3), byte_level(False)]),
    "qwen2": lambda: pre_tokenizers.Sequence([split(QWEN2), byte_level(False)]),
    "o200k": lambda: pre_tokenizers.Sequence([split(O200K, "removed", True), byte_level(False)]),
    "deepseek": lambda: pre_tokenizers.Sequence([*map(split, DEEPSEEK), byte_level(False)]),
    "starcoder": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)]),
}


def train(texts, vocab_size, layout="gpt2"):
    tokenizer = Tokenizer(models.BPE(ignore_merges=layout == "llama3"))
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[layout]()
    tokenizer.decoder = decoders.ByteLevel()
    if layout == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    if layout == "llama3":
        tokenizer.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
        bos, eot = tokenizer.token_to_id("<|begin_of_text|>"), tokenizer.token_to_id("<|eot_id|>")
        template = processors.TemplateProcessing(
            single="<|begin_of_text|> $A <|eot_id|>", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
            special_tokens=[("<|begin_of_text|>", bos), ("<|eot_id|>", eot)],
        )
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    if layout == "qwen2":
        tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
        tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("\u2126mega", normalized=True)])
    if layout == "o200k":
        tokenizer.add_special_tokens([AddedToken("<|left|>", lstrip=True), AddedToken("<|right|>", rstrip=True), AddedToken("<|both|>", lstrip=True, rstrip=True)])
        tokenizer.add_tokens([AddedToken("whale", single_word=True), AddedToken("<|long"), AddedToken("<|longer|>", normalized=False)])
    return tokenizer


job = json.load(sys.stdin)
if "train" in job:
    tokenizer = train(job["train"]["texts"], job["train"]["vocabSize"], job["train"].get("layout", "gpt2"))
else:
    tokenizer = Tokenizer.from_str(job["json"])
tokenizer.encode_special_tokens = job.get("encodeSpecialTokens", False)
ids = [tokenizer.encode(text, add_special_tokens=job.get("addSpecialTokens", False)).ids for text in job["encode"]]
decoded = [tokenizer.decode(row, skip_special_tokens=False) for row in ids]
words = [[text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)] for text in job["encode"]]
json.dump({"json": json.loads(tokenizer.to_str()), "ids": ids, "decoded": decoded, "words": words}, sys.stdout)
