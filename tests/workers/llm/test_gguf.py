"""The reader of GGUF files: what it reads, and that every count is bounded."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from workers.bench.fuzz.gguf import files
from workers.llm.gguf import BadModelFile, GgufFile


@pytest.fixture
def content() -> bytes:
    return files.model_file(files.Shape(), kind=files.Q8_0, rng=np.random.default_rng(0))


def read(folder: Path, content: bytes) -> GgufFile:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return GgufFile(path)


def test_keys_and_tensors(tmp_path: Path, content: bytes) -> None:
    gguf = read(tmp_path, content)
    assert gguf.metadata["general.architecture"] == "llama"
    assert gguf.metadata["tokenizer.ggml.tokens"] == files.vocabulary()[0]
    assert list(gguf.metadata["tokenizer.ggml.token_type"][:4]) == [3, 3, 3, 1]
    assert gguf.count("llama.block_count") == 1
    shapes = {name: entry.shape for name, entry in gguf.tensors.items()}
    assert shapes == files.shapes(files.Shape())
    entry = gguf.tensors["token_embd.weight"]
    assert gguf.raw(entry, 3, 2).shape == (2, 34)
    assert gguf.raw(entry, 0, entry.rows).tobytes() == content[entry.begin : entry.end]


@pytest.mark.parametrize("at", [8, 16])
@pytest.mark.parametrize("count", [2**60, 2**63, 2**64 - 1, 70_000])
def test_counts_are_bounded(tmp_path: Path, content: bytes, at: int, count: int) -> None:
    hostile = content[:at] + struct.pack("<Q", count) + content[at + 8 :]
    with pytest.raises(BadModelFile, match="expected at most"):
        read(tmp_path, hostile)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.3, 0.6, 0.99])
def test_truncated(tmp_path: Path, content: bytes, share: float) -> None:
    with pytest.raises(BadModelFile, match=r"download it again|expected at most"):
        read(tmp_path, content[: int(share * len(content))])


def test_other_files(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadModelFile, match="other content"):
        read(tmp_path, b"PK\x03\x04" + content[4:])
    with pytest.raises(BadModelFile, match="version 1"):
        read(tmp_path, content[:4] + struct.pack("<I", 1) + content[8:])
    with pytest.raises(BadModelFile, match="big-endian"):
        read(tmp_path, content[:4] + struct.pack(">I", 3) + content[8:])


def test_tensors_out_of_order(tmp_path: Path) -> None:
    keys = files.metadata(files.Shape())
    weights = (files.F32, (8, 4), bytes(128))
    plain = files.gguf(keys, {"one": weights, "two": weights})
    at = plain.rindex(struct.pack("<IQ", files.F32, 128)) + 4
    for offset, said in ((0, "overlap"), (1, "aligned"), (2**40, "within the file")):
        with pytest.raises(BadModelFile, match=said):
            read(tmp_path, plain[:at] + struct.pack("<Q", offset) + plain[at + 8 :])
    with pytest.raises(BadModelFile, match="comes twice"):
        read(tmp_path, plain.replace(b"two", b"one"))
    with pytest.raises(BadModelFile, match="ggml type 99"):
        read(tmp_path, plain[: at - 4] + struct.pack("<I", 99) + plain[at:])
    with pytest.raises(BadModelFile, match="multiple of 32"):
        read(tmp_path, plain[: at - 4] + struct.pack("<I", files.Q8_0) + plain[at:])


@pytest.mark.parametrize("shape", [(2**63, 2), (0, 4), (2**32, 2**32), (1, 1, 1, 1, 1)])
def test_impossible_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    keys = files.metadata(files.Shape())
    with pytest.raises(BadModelFile, match=r"impossible|dimensions|within the file"):
        read(tmp_path, files.gguf(keys, {"one": (files.F32, shape, bytes(128))}))


def test_nested_arrays_and_bad_text(tmp_path: Path) -> None:
    nested = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k"
    nested += struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 9, 1) * 50
    with pytest.raises(BadModelFile, match="numbers or strings"):
        read(tmp_path, nested)
    text = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2) + b"\xff\xfe"
    with pytest.raises(BadModelFile, match="UTF-8"):
        read(tmp_path, text + bytes(40))


def test_numbers_are_checked(tmp_path: Path, content: bytes) -> None:
    gguf = read(tmp_path, content)
    with pytest.raises(
        BadModelFile, match=r"llama\.nothing: expected a number, got nothing"
    ):
        gguf.number("llama.nothing")
    with pytest.raises(BadModelFile, match="from 1 to 10, got 256"):
        gguf.count("llama.context_length", most=10)
    with pytest.raises(BadModelFile, match="expected an integer"):
        gguf.count("llama.rope.freq_base")
