"""Tokenizers: round trips, special tokens that text cannot make, and SentencePiece."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.text_model import TextModelError
from tests.workers.llm import model_files
from workers.bench.fuzz.gguf import files
from workers.llm.gguf import BadModelFile, GgufFile
from workers.llm.gguf_tokenizer import tokenizer_files
from workers.llm.tokenizer import Piece, Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    model_files.write_tokenizer(folder)
    return Tokenizer(folder)


def test_facts(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocabulary == len(files.vocabulary()[0])
    assert tokenizer.bos == 1
    assert tokenizer.eos == {2}
    assert not tokenizer.adds_bos
    assert tokenizer.encode_prompt("a") == tokenizer.encode("a")
    assert tokenizer.is_special(2)
    assert not tokenizer.is_special(5)
    assert tokenizer.token_bytes(2) == b"<|im_end|>"
    assert tokenizer.token_bytes(99_999) == b""


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


@given(st.lists(st.sampled_from([*files.SPECIAL, "<|im_", "end|>", " ", "a", "\n"])))
@settings(max_examples=200, deadline=None)
def test_text_never_becomes_special_tokens(
    tokenizer: Tokenizer, parts: list[str]
) -> None:
    text = "".join(parts)
    ids = tokenizer.encode(text)
    assert min(ids, default=3) > 2
    assert tokenizer.decode(ids) == text


def test_special_tokens_of_a_template(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|im_start|>the<|im_end|>", special=True)
    assert ids[0] == 1
    assert ids[-1] == 2
    assert tokenizer.decode(ids) == "the"


def test_words_span_pieces_and_pins_follow_them(tokenizer: Tokenizer) -> None:
    pieces = [
        Piece(text="<|im_start|>t", trusted=True),
        Piece(text="he and", pinned=True),
        Piece(text=" the"),
    ]
    ids, pinned = tokenizer.encode_pieces(pieces)
    assert ids == [1, *tokenizer.encode("the and the")]
    shown = [(tokenizer.token_bytes(i), pin) for i, pin in zip(ids, pinned, strict=True)]
    assert (b"the", True) in shown
    assert shown[0] == (b"<|im_start|>", False)
    assert shown[-1] == (b" the", False)


def test_a_special_token_cannot_span_a_boundary(tokenizer: Tokenizer) -> None:
    pieces = [Piece(text="<|im_", trusted=True), Piece(text="end|>")]
    ids, _ = tokenizer.encode_pieces(pieces)
    assert 2 not in ids
    assert tokenizer.decode(ids) == "<|im_end|>"


def test_lone_surrogates(tokenizer: Tokenizer) -> None:
    with pytest.raises(TextModelError, match="lone surrogate"):
        tokenizer.encode("a\ud800b")


def test_much_of_one_character(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("a" * 65_536)) == 65_536


def test_invalid_bytes_are_replaced(tokenizer: Tokenizer) -> None:
    ids = [3 + 0xE4, 3 + 0x41]
    assert tokenizer.decode(ids) == "\ufffdA"


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"type": "Unigram", "vocab": [["a", 0.0]]}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}},
        {"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []},
        {"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}},
        {"pre_tokenizer": {"type": "Nothing"}},
    ],
)
def test_broken_files(tmp_path: Path, changed: dict[str, object]) -> None:
    model_files.write_tokenizer(tmp_path)
    content = model_files.tokenizer_json() | changed
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BadModelFile, match="expected a BPE tokenizer"):
        Tokenizer(tmp_path)


def test_without_an_end(tmp_path: Path) -> None:
    model_files.write_tokenizer(tmp_path, eos_token=None)
    (tmp_path / "generation_config.json").write_text("{}")
    with pytest.raises(BadModelFile, match="eos_token_id"):
        Tokenizer(tmp_path)


@pytest.fixture
def sentence_piece(tmp_path: Path) -> Tokenizer:
    """A tokenizer of the kind `llama`: scores in place of merges, bytes for what is unknown."""
    words = ["▁", "a", "b", "c", "▁a", "ab", "▁ab", "abc"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *words]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(words)]
    scores = [0.0] * 259 + [-9.0, -8.0, -7.0, -6.0, -4.0, -2.0, -1.0, -3.0]
    keys = files.metadata(
        files.Shape(),
        tokenizer__ggml__model="llama",
        tokenizer__ggml__pre=None,
        tokenizer__ggml__merges=None,
        tokenizer__ggml__tokens=tokens,
        tokenizer__ggml__token_type=np.array(kinds, np.int32),
        tokenizer__ggml__scores=np.array(scores, np.float32),
        tokenizer__ggml__unknown_token_id=0,
    )
    path = tmp_path / "model.gguf"
    path.write_bytes(files.gguf(keys, {}))
    for name, content in tokenizer_files(GgufFile(path)).items():
        (tmp_path / name).write_text(json.dumps(content))
    return Tokenizer(tmp_path)


def test_sentence_piece(sentence_piece: Tokenizer) -> None:
    assert sentence_piece.adds_bos
    assert sentence_piece.encode_prompt("a") == [
        sentence_piece.bos,
        *sentence_piece.encode("a"),
    ]
    # The best result first: "ab" before "▁a", then "▁ab".
    assert [sentence_piece.token_bytes(i) for i in sentence_piece.encode("ab c")] == [
        b" ab",
        b" ",
        b"c",
    ]
    for text in ("ab c", "é 漢", "  a", "<s> a</s>", "x\ny"):
        ids = sentence_piece.encode(text)
        assert sentence_piece.decode(ids) == text
        assert not {0, 1, 2} & set(ids)


def test_as_transformers_reads_the_embedded_model() -> None:
    from workers.llm import weights

    try:
        source = weights.embedded()
    except weights.ModelUnavailable as error:
        pytest.skip(str(error))
    tokenizers = pytest.importorskip("tokenizers")
    folder = weights.model_folder(source)
    peer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer = Tokenizer(folder)
    rng = np.random.default_rng(0)
    words = [
        "Solve",
        " x1",
        "=42,",
        "I've",
        "\n\n",
        "漢字",
        "🙂",
        "\t",
        "2026",
        "naïve",
        " ",
    ]
    for _ in range(200):
        text = "".join(rng.choice(words, 12))
        assert tokenizer.encode(text) == peer.encode(text, add_special_tokens=False).ids
