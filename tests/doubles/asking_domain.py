"""The domain of a throw-away kind that asks a language model; its run can import this file."""

from __future__ import annotations

import numpy as np

from search.stop import StoppingCriterion
from search.text_model import Ended, Message, Sampling, TextModel, TextRequest
from search.types import OnIncumbent, SearchOutcome
from tests.changing.test_kind import RootDomain

ASKS = {15: "slowly crash in the middle", 16: "refuse"}


class AskingDomain(RootDomain):
    """Asks the model before it counts, and takes the word count of its answer as the start."""

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def search(
        self,
        problem: int,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: tuple[int, float] | None = None,
    ) -> SearchOutcome:
        assert self._model.capabilities.name == "echo"
        assert self._model.tokenize("a bb") == [1, 2]
        assert self._model.score("a", ["b", "cc"]) == [-1.0, -2.0]
        request = TextRequest(
            messages=(Message(role="user", text=ASKS.get(problem, "one two three")),),
            sampling=Sampling(max_tokens=300),
        )
        ended, words = Ended(), 0
        for token in self._model.generate(request, ended, stop=stop):
            words += bool(token.text.strip())
        assert ended.usage is not None
        assert ended.usage.completion_tokens == words
        first = (words, abs(float(problem) - words**2))
        return super().search(problem, encoding, stop, rng, on_incumbent, start or first)


def build(*, text_model: TextModel) -> AskingDomain:
    return AskingDomain(text_model)
