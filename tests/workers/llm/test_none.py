"""The adapter without a model: it says so, each time."""

from __future__ import annotations

import pytest

from search.text_model import Ended, ModelUnavailable
from tests.contracts.text_model import asked
from workers.llm.none import NoModel, NoTextModel
from workers.llm.open import open_model


def test_none_says_what_to_do() -> None:
    model = open_model("none")
    assert isinstance(model, NoTextModel)
    assert not model.capabilities.generates
    for call in (
        lambda: model.tokenize("a"),
        lambda: model.generate(asked(), Ended()),
        lambda: model.score("a", ["b"]),
    ):
        with pytest.raises(NoModel, match="TRIMTAB_TEXT_MODEL"):
            call()
    assert issubclass(NoModel, ModelUnavailable)
    model.close()
