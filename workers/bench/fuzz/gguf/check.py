"""Fuzzer `gguf`: mutated model files against the confined converter.

A file may be converted or refused with BadModelFile. Anything else is a finding: another error, a
signal, more than 20 s, more memory than allowed, or a folder that the checkpoint reader then
refuses. Each file is converted in a fork with the limits of the real child; one in fifty goes
through `workers.llm.weights` and a new process.
"""

from __future__ import annotations

import contextlib
import resource
import struct
import tempfile
from pathlib import Path

import numpy as np
import psutil

from search import isolation
from search.isolation import Message, NativeCrash, NativeError, NativeTimeout
from workers.bench.fuzz.gguf import files
from workers.bench.fuzz.types import Fault, Finding, Outcome
from workers.llm.child_environment import lower_limits
from workers.llm.conversion import convert
from workers.llm.gguf import BadModelFile

_KINDS = (files.F32, files.F16, files.BF16, files.Q4_0, files.Q4_1, files.Q8_0)
_K_KINDS = (files.Q4_K, files.Q5_K, files.Q6_K)
_MEMORY, _CPU_S, _WALL_S = 2 << 30, 20, 120.0
_EVERY = 50  # case of these goes through a new process
_HOSTILE = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1, 2**63, 2**64 - 1)


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Mutate a file and convert it."""
    content, how = _mutated(rng)
    with tempfile.TemporaryDirectory(prefix="trimtab-fuzz-gguf-") as folder:
        path = Path(folder) / "model.gguf"
        path.write_bytes(content)
        try:
            label = _opened(path) if index % _EVERY == 0 else _forked(path)
        except (NativeCrash, NativeTimeout, NativeError) as error:
            return Outcome(
                label="finding",
                finding=Finding(
                    fault=Fault.CRASHED, detail=f"{how}: {error}"[:500], case={"how": how}
                ),
            )
    return Outcome(label=label)


def _forked(path: Path) -> str:
    """Convert in a fork with limits. Raises Native*."""
    out = path.parent / "out"
    out.mkdir()

    def convert_here() -> Message:
        # A fork begins with the address space of its parent, torch included.
        begun = psutil.Process().memory_info().vms
        lower_limits({resource.RLIMIT_AS: begun + _MEMORY, resource.RLIMIT_CPU: _CPU_S})
        try:
            convert(path, out, dtype="BF16")
        except BadModelFile as error:
            return {"label": "refused", "why": str(error)}
        return {"label": "converted"}

    answer = isolation.call("conversion", convert_here, timeout_s=_WALL_S)
    if answer["label"] == "converted":
        _readable(out)
    elif not 20 < len(answer["why"]) < 2000:
        raise NativeError("conversion", "BadModelFile", "an unclear message", "")
    return str(answer["label"])


def _readable(out: Path) -> None:
    """Raise NativeError unless the safetensors header fits its file."""
    with (out / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        size = file.seek(0, 2)
    if not 2 <= length <= size - 8:
        raise NativeError("conversion", "Header", f"{length} of {size} bytes", "")


def _opened(path: Path) -> str:
    """Load through a new process, as the service does. Raises NativeError."""
    from workers.llm.tokenizer import Tokenizer
    from workers.llm.weights import ModelSource, converted_folder

    try:
        folder = converted_folder(
            ModelSource(path=path, name="fuzz"), path.parent / "cache", "BF16"
        )
        Tokenizer(folder)
    except BadModelFile:
        return "refused in a process"
    except Exception as error:
        raise NativeError("load", type(error).__name__, str(error)[:300], "") from None
    return "converted in a process"


def _mutated(rng: np.random.Generator) -> tuple[bytes, str]:
    """Return a damaged file and what was done to it."""
    if rng.random() < 0.3:
        shape = files.Shape(width=256, feed_forward=256)
        kind = int(rng.choice(_K_KINDS))
    else:
        architecture = str(rng.choice(["llama", "qwen2"]))
        shape = files.Shape(architecture=architecture)
        kind = int(rng.choice(_KINDS))
    content = bytearray(files.model_file(shape, kind=kind, rng=rng))
    done = [
        _MUTATIONS[int(rng.integers(len(_MUTATIONS)))] for _ in range(rng.integers(1, 4))
    ]
    for mutate in done:
        content = mutate(content, rng)
    return bytes(content), f"type {kind}: " + ", ".join(m.__name__ for m in done)


def _header(content: bytearray) -> int:
    """Return about where the header ends."""
    last_name = content.rfind(b"ffn_down.weight")
    return min(len(content), last_name + 64) if last_name > 0 else len(content)


def _flip(content: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 9))):
        if content:
            content[int(rng.integers(_header(content)))] ^= 1 << int(rng.integers(8))
    return content


def _count(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Put a hostile number of 4 or 8 bytes somewhere into the header."""
    at = int(rng.integers(4, max(5, _header(content) - 8)))
    value = int(rng.choice(np.array(_HOSTILE, np.uint64)))
    content[at : at + 8] = struct.pack("<Q", value)[: 8 if rng.random() < 0.5 else 4]
    return content


def _preamble(content: bytearray, rng: np.random.Generator) -> bytearray:
    at = int(rng.choice([4, 8, 16]))
    content[at : at + 8] = struct.pack(
        "<Q", int(rng.choice(np.array(_HOSTILE, np.uint64)))
    )
    return content


def _cut(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: int(rng.integers(len(content) + 1))]


def _splice(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Copy a piece of the header to another place in it."""
    end = _header(content)
    first, to = int(rng.integers(end)), int(rng.integers(end))
    size = int(rng.integers(1, 200))
    content[to : to + size] = content[first : first + size]
    return content


def _grow(content: bytearray, rng: np.random.Generator) -> bytearray:
    at = int(rng.integers(_header(content)))
    content[at:at] = rng.integers(0, 256, int(rng.integers(1, 64)), np.uint8).tobytes()
    return content


def _key(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Damage the value behind a known key."""
    keys = [
        b"block_count",
        b"head_count",
        b"embedding_length",
        b"feed_forward",
        b"tokens",
    ]
    keys += [b"alignment", b"token_type", b"merges", b"dimension_count", b"eos_token_id"]
    found = content.find(keys[int(rng.integers(len(keys)))])
    if found > 0:
        at = found + int(rng.integers(8, 40))
        with contextlib.suppress(IndexError):
            content[at] = int(rng.integers(256))
    return content


def _weights(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Set contents of tensors to all ones: infinities and numbers that are none."""
    at = int(rng.integers(_header(content), len(content) + 1))
    content[at : at + 64] = b"\xff" * len(content[at : at + 64])
    return content


_MUTATIONS = (_flip, _count, _preamble, _cut, _splice, _grow, _key, _weights)
