"""Candidates of the language model: a template and values, under a grammar without other values.

The grammar is the kind's request restricted to its bound fields; each takes the numbers and words
that the goal states for any job, or the schema's default, so the model cannot invent a value. It
sees roles of files and typed values, never text of a file or of the goal. Whatever goes wrong with
it costs its candidates and a note, nothing else.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.domains.plan.outline.candidates import Candidate
from search.domains.plan.outline.decide import MODEL_NOTE
from search.domains.plan.outline.describe import title
from search.domains.plan.outline.filters import Place, schema_defaults
from search.domains.plan.outline.paths import leaves, put
from search.stop import AnyOf, StoppingCriterion, TimeLimit
from search.text_model import Ended, Grammar, Message, Sampling, TextModel, TextRequest
from trimtab.plans import LEAF_FILE, Outline

CANDIDATES = 4
MODEL_S = 10.0
"""Seconds of one outline that may be spent on the model, all leaves together."""
_MOST_ANSWER = 65_536
_MOST_VALUES = 32
_TEMPERATURE = 0.8
_GRACE_S = 0.5  # for an answer that is cancelled at its deadline
_WORD = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]{0,23}$")
_SYSTEM = (
    "You plan one job. Choose the template that fits what is asked, and give each field one of "
    "its values."
)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Form that the model may fill in: labels instead of paths, for shorter answers."""

    templates: Mapping[str, Candidate]
    paths: Mapping[str, str]  # label → path
    values: Mapping[str, Sequence[Any]]  # label → what it may be

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of an answer."""
        fields: dict[str, Any] = {"template": {"enum": list(self.templates)}}
        fields |= {label: {"enum": list(self.values[label])} for label in self.paths}
        return {
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }


class ModelProposer:
    """Asks a language model for candidates, within a limit of time over all leaves."""

    def __init__(
        self,
        model: TextModel,
        *,
        wishes: int,
        stop: StoppingCriterion,
        seed: int = 0,
        limit_s: float = MODEL_S,
    ) -> None:
        self._model, self._stop, self._seed = model, stop, seed
        self._left_leaves = max(1, wishes)
        self._ends = time.monotonic() + min(limit_s, stop.remaining_s() / 2)
        self._name: str | None = None
        self._streams = 1
        self._grammar = self._off = False
        self.sends_text = False  # to another machine
        self.note = ""  # what went wrong, for the owner
        self.proposed = 0

    @property
    def name(self) -> str:
        """Name of the model, once it has answered; empty before."""
        return self._name if self._name is not None and self.proposed else ""

    def noted(self, outline: Outline) -> Outline:
        """Return the outline with the model's name, and with what went wrong."""
        notes = (*outline.notes, self.note) if self.note else outline.notes
        return outline.model_copy(
            update={
                "notes": notes,
                "text_model": self.name,
                "sends_text": self.sends_text,
            }
        )

    def __call__(self, place: Place, found: Sequence[Candidate]) -> list[Candidate]:
        """Return candidates for a leaf. found: those of the templates; none means no candidate."""
        share_s = (self._ends - time.monotonic()) / max(1, self._left_leaves)
        self._left_leaves -= 1
        if not found or self.note or self._off or self._stop(None):
            return []
        if share_s < _GRACE_S:
            self.note = f"{MODEL_NOTE}too slow; later jobs come from templates alone"
            return []
        if not self._ready(self._ends):
            return []
        deadline = min(self._ends, time.monotonic() + share_s)
        form = _form(place, found)
        texts, faults = self._texts(_prompt(place, form), form.schema(), deadline)
        made = [
            candidate
            for number, (text, logprob) in enumerate(texts)
            if (candidate := _candidate(text, logprob, number, form)) is not None
        ]
        self.proposed += len(made)
        if not made:
            why = "; ".join(dict.fromkeys(faults)) or "no answer that fits the form"
            self.note = f"{MODEL_NOTE}{why[:300]}; jobs come from templates alone"
        return made

    def _ready(self, deadline: float) -> bool:
        """Learn what the model can do; the first look may wait until it is loaded."""
        if self._name is not None:
            return True
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def look() -> None:
            try:
                answers.put(self._model.capabilities)
            except Exception as error:  # of any adapter: it costs the model, not the plan
                answers.put(error)

        threading.Thread(target=look, daemon=True).start()
        try:
            seen = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self.note = f"{MODEL_NOTE}not ready in time; jobs come from templates alone"
            return False
        if isinstance(seen, Exception):
            self.note = f"{MODEL_NOTE}{str(seen)[:300]}; jobs come from templates alone"
            return False
        self._name, self._streams = seen.name, seen.streams
        self._grammar = seen.grammar
        self.sends_text = seen.generates and not seen.local
        self._off = not seen.generates
        return bool(seen.generates)

    def _texts(
        self, prompt: str, schema: Mapping[str, Any], deadline: float
    ) -> tuple[list[tuple[str, float | None]], list[str]]:
        """Return complete answers with their log-probability per token, and faults."""
        answers: queue.SimpleQueue[tuple[str, float | None] | str] = queue.SimpleQueue()
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(CANDIDATES):
            numbers.put(number)

        def work() -> None:
            while not numbers.empty():
                try:
                    number = numbers.get_nowait()
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        answers.put("too slow")
                        continue
                    answers.put(self._answer(prompt, schema, number, left_s))
                except queue.Empty:
                    return
                except Exception as error:  # of any adapter, as above
                    answers.put(f"{type(error).__name__}: {error}")

        for _ in range(min(CANDIDATES, self._streams)):
            threading.Thread(target=work, daemon=True).start()
        texts: list[tuple[str, float | None]] = []
        faults: list[str] = []
        for _ in range(CANDIDATES):
            try:
                left_s = deadline + _GRACE_S - time.monotonic()
                got = answers.get(timeout=max(0.0, left_s))
            except queue.Empty:
                faults.append("too slow")
                break
            if isinstance(got, str):
                faults.append(got)
            else:
                texts.append(got)
        return texts, faults

    def _answer(
        self, prompt: str, schema: Mapping[str, Any], number: int, left_s: float
    ) -> tuple[str, float | None] | str:
        request = TextRequest(
            messages=(
                Message(role="system", text=_SYSTEM),
                Message(role="user", text=prompt),
            ),
            sampling=Sampling(
                max_tokens=48 + 12 * len(schema["properties"]),
                temperature=_TEMPERATURE if number else 0.0,
                seed=self._seed * CANDIDATES + number,
            ),
            grammar=Grammar(json_schema=schema) if self._grammar else None,
        )
        ended = Ended()
        parts: list[str] = []
        size, logprobs = 0, []
        stop = AnyOf(self._stop, TimeLimit(left_s))
        for token in self._model.generate(request, ended, stop=stop):
            parts.append(token.text)
            size += len(token.text)
            if token.logprob is not None:
                logprobs.append(token.logprob)
            if size > _MOST_ANSWER:
                return "an answer of more than 64 KiB"
        if ended.finish is not None and ended.finish != "stop":
            return "too slow" if stop(None) else "an answer without end"
        mean = sum(logprobs) / len(logprobs) if logprobs else None
        return "".join(parts), mean


def _form(place: Place, found: Sequence[Candidate]) -> _Form:
    """Return the fields that any template's candidate binds, with the values they may take."""
    paths: dict[str, Any] = {}
    for candidate in found:
        for path, value in leaves(candidate.request):
            if _may_choose(path, value):
                paths.setdefault(path, value)
    stated = [
        part
        for wish in place.wishes
        for value in wish.values
        for path, part in leaves(value.value, value.path)
        if _may_choose(path, part)
    ]
    defaults = schema_defaults(place.specs[place.wish.kind])
    labels: dict[str, str] = {}
    values: dict[str, list[Any]] = {}
    for path, own in paths.items():
        label = _label(path, labels)
        labels[label] = path
        options = [own, *(defaults[path],)] if path in defaults else [own]
        options += [part for part in stated if type(part) is type(own)]
        fitting = [part for part in options if type(part) is type(own)]
        values[label] = list(dict.fromkeys(fitting))[:_MOST_VALUES]
    return _Form(
        templates={candidate.id: candidate for candidate in found},
        paths=labels,
        values=values,
    )


def _may_choose(path: str, value: Any) -> bool:
    """Return whether the model sees a value: a number, a truth or a plain word.

    Other text is the user's or a file's: it is copied past the model.
    """
    last = path.rpartition(".")[2]
    if last in ("digest", "name", "output", LEAF_FILE):
        return False
    return isinstance(value, int | float) or (
        isinstance(value, str) and _WORD.match(value) is not None
    )


def _label(path: str, taken: Mapping[str, str]) -> str:
    words = [word for word in path.split(".")[1:] if not word.isdecimal()] or [path]
    for count in range(1, len(words) + 1):
        label = "_".join(words[-count:])
        if label not in taken and label != "template":
            return label
    return path


def _prompt(place: Place, form: _Form) -> str:
    files = [
        {"role": facts.roles[0].value if facts.roles else "unknown", **facts.facts}
        for name in place.wish.files.values()
        if (facts := place.files.get(name)) is not None
    ]
    shown = {
        "kind": place.wish.kind,
        "intent": place.wish.intent if _WORD.match(place.wish.intent) else "",
        "files": files,
        "stated": {
            label: form.values[label][0]
            for label, path in form.paths.items()
            if any(value.path == path for value in place.wish.values)
        },
        "templates": {
            id: title(row.template.title, {}).replace("…", "it")
            for id, row in form.templates.items()
        },
    }
    return json.dumps(shown, ensure_ascii=True)


def _candidate(
    text: str, logprob: float | None, number: int, form: _Form
) -> Candidate | None:
    """Return the candidate that an answer describes; None for nonsense."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or set(answer) != {"template", *form.paths}:
        return None
    base = form.templates.get(str(answer["template"]))
    if base is None:
        return None
    request = json.loads(json.dumps(base.request))
    defaults = dict(base.defaults)
    for label, path in form.paths.items():
        value = answer[label]
        offered = [v for v in form.values[label] if v == value and type(v) is type(value)]
        if not offered:
            return None
        put(request, path, offered[0])
        if path in defaults and offered[0] != form.values[label][0]:
            del defaults[path]
    return replace(
        base,
        source="model",
        id=f"{number + 1} ({base.id})",
        request=request,
        defaults=defaults,
        logprob=logprob,
    )
