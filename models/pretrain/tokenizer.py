"""A small byte-pair tokenizer in the form of SigLIP 2's: lower case, an end token, 64 places."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, Siglip2Tokenizer

from siglip2_multimodal_hash.errors import DataError

TEXT_LENGTH = 64
"""Tokens per text: SigLIP 2 pads every text to exactly this many and masks none."""

VOCABULARY = 1_280

PAD, EOS, BOS, UNK, MASK = "<pad>", "<eos>", "<bos>", "<unk>", "<mask>"
SPECIAL_TOKENS = (PAD, EOS, BOS, UNK, MASK)
"""In the order of Gemma's vocabulary, so that padding is id 0 and the end of a text id 1."""


def train_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Siglip2Tokenizer:
    """Learn byte-pair merges, within words only: "dog" and "dog." share a token.

    Args:
        texts: Texts like those that the towers will read.
        vocabulary: Most tokens, special ones and single characters included.

    Returns:
        A tokenizer that pads on the right to 64 tokens when asked for ``padding="max_length"``.
        A space belongs to the word after it, as ``▁``.
    """
    learner = Tokenizer(models.BPE(unk_token=UNK, fuse_unk=True))
    learner.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(" ", "▁")]
    )
    # Only while learning: no merge then crosses a space or a full stop, here and in later use.
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=[chr(code) for code in range(33, 127) if not chr(code).isupper()],
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    merges = _merges(learner)
    tokenizer = Siglip2Tokenizer(
        vocab=learner.get_vocab(with_added_tokens=True),
        merges=merges,
        model_max_length=TEXT_LENGTH,
        padding_side="right",
        # SigLIP 2 was trained without an attention mask: do not even offer one.
        model_input_names=["input_ids"],
    )
    end = (EOS, tokenizer.convert_tokens_to_ids(EOS))
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=[end]
    )
    return tokenizer


def _merges(tokenizer: Tokenizer) -> list[Any]:
    pairs = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(left, right) for left, right in pairs]


def token_ids(tokenizer: Siglip2Tokenizer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Padded token ids, int64 [len(texts), 64]: what the processor gives, without its overhead."""
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(list(texts))
    ids = np.full((len(texts), TEXT_LENGTH), tokenizer.pad_token_id, dtype=np.int64)
    for row, encoding in zip(ids, encodings, strict=True):
        kept = encoding.ids[:TEXT_LENGTH]
        row[: len(kept)] = kept
    return ids


def load_tokenizer(folder: Path) -> Siglip2Tokenizer:
    """The tokenizer of an exported checkpoint.

    Raises:
        DataError: The folder holds none of this kind.
    """
    if not (folder / "tokenizer.json").exists():
        raise DataError(f"{folder}: holds no tokenizer.json", "train the fixed checkpoint first")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not isinstance(tokenizer, Siglip2Tokenizer):
        raise DataError(f"{folder}: {type(tokenizer).__name__} is not a Siglip2Tokenizer")
    for key in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(key, None)  # how it was found is not to be saved with it
    return tokenizer
