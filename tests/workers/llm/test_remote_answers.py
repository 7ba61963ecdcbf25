"""Answers of an endpoint: put together, and refused where they are not the protocol's."""

from __future__ import annotations

from typing import Any

import pytest

from search.text_model import Finish, ModelUnavailable
from workers.llm.remote_answers import RemoteAnswer, echoed


def test_an_answer_is_put_together_from_its_events() -> None:
    answer = RemoteAnswer(chat=True)
    events: list[dict[str, Any]] = [
        {"choices": [{"delta": {"content": "a b"}}]},
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": -1}},
    ]
    texts = [token.text for event in events for token in answer.tokens(event)]
    assert (texts, answer.text, answer.finish) == (["a b"], "a b", Finish.LENGTH)
    assert (answer.usage().prompt_tokens, answer.usage().completion_tokens) == (7, 1)


@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {"content": 7}},
        {"delta": {}, "finish_reason": "tired"},
        {"delta": {}, "finish_reason": []},
        {"delta": {}, "finish_reason": {"stop": 1}},
        {"delta": {"content": "a"}, "logprobs": {"content": [{"token": 1}]}},
        "a text",
    ],
)
def test_another_protocol_is_refused(choice: Any) -> None:
    with pytest.raises(ModelUnavailable, match="OpenAI's protocol"):
        list(RemoteAnswer(chat=True).tokens({"choices": [choice]}))


def test_an_echo_has_offsets() -> None:
    logprobs = {"tokens": ["ab", "c"], "token_logprobs": [None, -0.5]}
    answer = {"choices": [{"logprobs": logprobs}]}
    assert echoed(answer) == [(0, "ab", None), (2, "c", -0.5)]
    assert echoed({"choices": []}) == []
