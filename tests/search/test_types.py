"""Protocols of domains, against the domains in KINDS."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from search.kinds import KINDS
from search.types import Domain, HasBaseline, InvalidInput
from trimtab.results import Reason


def built(kind: str) -> Any:
    module, _, function = KINDS[kind].builder.partition(":")
    return getattr(import_module(module), function)()


@pytest.mark.parametrize("kind", list(KINDS))
def test_domains_take_the_arguments_of_the_protocol(kind: str) -> None:
    domain = built(kind)
    for name, method in inspect.getmembers(Domain, inspect.isfunction):
        if not name.startswith("_"):
            expected = list(inspect.signature(method).parameters)[1:]
            assert (
                list(inspect.signature(getattr(domain, name)).parameters) == expected
            ), name


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_row_says_whether_there_is_a_baseline(kind: str) -> None:
    assert KINDS[kind].baseline == isinstance(built(kind), HasBaseline)


def test_invalid_input_has_its_reason() -> None:
    assert InvalidInput("x").reason is Reason.INVALID_INPUT
