"""`python -m workers.llm.grammar_guard`: compile grammars where a bomb does no harm.

Reads one line with a tokenizer as xgrammar writes it, then a grammar as a JSON string a line. Each
is compiled and tried in a fork with 2 s of processor time and 256 MiB; the answer is one line, `{}`
or `{"refused": reason}`. xgrammar is imported once, before privileges are dropped, so that a
grammar costs a fork and its own compilation. Ends with its input, or after five idle minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import xgrammar

from solvers import privileges
from workers.llm.child_environment import lower_limits

CPU_S, MEMORY_BYTES = 2, 256 << 20
MOST_WALL_S = 60.0  # on a busy machine
_IDLE_S = 300.0
_TRIED_TOKENS = 64
_SLOWEST_MASK_S = 0.05  # per token, where all streams of an engine wait
_NO_CONTINUATION = (
    "no token can follow at one place; this tokenizer cannot write such a text"
)


def _check(tokenizer: Any, grammar: str) -> str | None:
    """Compile a grammar and follow it at random. Return why it is refused, or None."""
    compiler = xgrammar.GrammarCompiler(tokenizer, max_threads=1, cache_enabled=False)
    try:
        compiled = compiler.compile_grammar(grammar)
    except MemoryError:
        return f"more than {MEMORY_BYTES >> 20} MiB"
    except RuntimeError as error:
        return str(error)[:300]
    matcher = xgrammar.GrammarMatcher(compiled)
    mask = np.zeros((1, -(-tokenizer.vocab_size // 32)), np.int32)
    rng = np.random.default_rng(0)
    spent = []
    for _ in range(_TRIED_TOKENS):
        began = time.process_time()
        matcher.fill_next_token_bitmask(mask)
        spent.append(time.process_time() - began)
        ids = np.flatnonzero(np.unpackbits(mask.view(np.uint8)[0], bitorder="little"))
        if not len(ids):
            return _NO_CONTINUATION
        matcher.accept_token(int(rng.choice(ids)))
        if matcher.is_terminated():
            break
    mean_s = sum(spent) / len(spent)
    return f"{mean_s * 1e3:.0f} ms for each token" if mean_s > _SLOWEST_MASK_S else None


def _in_fork(tokenizer: Any, grammar: str, write_fd: int) -> None:
    """Limit this process, check, and write the reason of a refusal."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * resource.getpagesize()
    lower_limits(
        {
            resource.RLIMIT_AS: used + MEMORY_BYTES,
            resource.RLIMIT_CPU: CPU_S,
            resource.RLIMIT_CORE: 0,
        }
    )
    # xgrammar writes its messages there too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        reason = _check(tokenizer, grammar)
    except MemoryError:
        reason = f"more than {MEMORY_BYTES >> 20} MiB"
    os.write(write_fd, json.dumps({"refused": reason} if reason else {}).encode())


def answer(tokenizer: Any, grammar: str) -> dict[str, str]:
    """Check a grammar in a fork. Return what goes to the parent."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_fd)
            _in_fork(tokenizer, grammar, write_fd)
        finally:
            os._exit(0)
    os.close(write_fd)
    text = b""
    deadline = time.monotonic() + MOST_WALL_S
    while select.select([read_fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(read_fd, 1 << 16)
        text += chunk
        if not chunk:
            break
    os.close(read_fd)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if text:
        verdict: dict[str, str] = json.loads(text)
        return verdict
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT:
        return {"refused": f"more than {MEMORY_BYTES >> 20} MiB"}
    return {"refused": f"more than {CPU_S} s of processor time"}


def _main() -> int:
    tokenizer = xgrammar.TokenizerInfo.deserialize_json(json.loads(sys.stdin.readline()))
    privileges.drop(
        readable=(
            *privileges.SYSTEM_FOLDERS,
            *privileges.SYSTEM_FACTS,
            sys.prefix,
            sys.base_prefix,
        ),
        writable=(),
    )
    print("{}", flush=True)
    while select.select([sys.stdin], [], [], _IDLE_S)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        print(json.dumps(answer(tokenizer, json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
