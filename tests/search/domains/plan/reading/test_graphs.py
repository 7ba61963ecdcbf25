"""The reader of graphs: places of words, legal sequences, hostile texts, determinism."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest

from search.domains.plan.reading.graphs.decode import decoded
from search.domains.plan.reading.graphs.grammar import MAX_JOBS, Labels, Machine, Sort
from search.domains.plan.reading.graphs.network import Weights, stored
from search.domains.plan.reading.graphs.predict import read_graph, shipped
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.reading.graphs.words import (
    MAX_FILES,
    MAX_PIECES,
    SIZES,
    Pieces,
    coded,
    words_of,
)
from workers.corpus.goals.references import look_up

_NAMES = (
    "after",
    "ask:engine",
    'closed:spec.engine="scip"',
    "end",
    "file:model",
    "file:source",
    "job:compile",
    "job:ilp",
    "op:times:2",
    "open:budget.seconds",
    "open:spec.threads",
    "out:warm_start<-solution.sol",
    "part:mail",
    "ref:1",
    "ref:2",
    "same",
)
_KINDS = {
    'closed:spec.engine="scip"': ("ilp",),
    "file:model": ("ilp",),
    "file:source": ("compile",),
    "open:spec.threads": ("ilp",),
    "out:warm_start<-solution.sol": ("ilp",),
}
_TEXT = "Run a.mps for 90 s with SCIP, then b.c for 2.5 minutes; mail me."
_FILES = ("a.mps", "b.c")


def untrained(seed: int, spread: float = 0.3) -> Weights:
    """Return random weights of a small network with the real shapes."""
    rng = np.random.default_rng(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = {f"[{i}]": i for i in range(103)}
    for piece in (*letters, *(f"##{c}" for c in letters), ".", ",", ";", "run", "then"):
        vocabulary[piece] = len(vocabulary)
    d, e, n = 64, 384, len(_NAMES)
    shapes: dict[str, tuple[int, ...]] = {
        "pieces.weight": (len(vocabulary), 16),
        "raise_.weight": (e, 16),
        "places": (MAX_PIECES, e),
        "steps": (240, d),
        "label.weight": (n + 1, d),
        "jobs.weight": (MAX_JOBS + 1, d),
        "last_bias": (24,),
        **{f"signs.{i}.weight": (size, e) for i, size in enumerate(SIZES)},
    }
    linear = {
        "layers.0.qkv": (3 * e, e),
        "layers.0.out": (e, e),
        "layers.0.up": (96, e),
        "layers.0.down": (e, 96),
        "first": (d, e),
        "final": (d, e),
        "file_in": (d, e),
        "to_label": (n, d),
        "word_query": (d, d),
        "word_key": (d, e),
        "file_query": (d, d),
        "file_key": (d, e),
        "last_query": (d, d + e),
        "last_key": (d, e),
        "near": (49, d),
        "again": (4, d),
        "decoder.0.qkv": (3 * d, d),
        "decoder.0.out": (d, d),
        "decoder.0.query": (d, d),
        "decoder.0.kv": (2 * d, e),
        "decoder.0.over": (d, d),
        "decoder.0.up": (96, d),
        "decoder.0.down": (d, 96),
    }
    for name, shape in linear.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    arrays = {
        name: rng.normal(0, spread, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    for name, width in {"norm": e, "layers.0.norm1": e, "layers.0.norm2": e}.items():
        arrays |= _norm(name, width)
    for name in ("decoder.0.norm1", "decoder.0.norm2", "decoder.0.norm3", "norm_out"):
        arrays |= _norm(name, d)
    meta = {
        "labels": _NAMES,
        "kinds": _KINDS,
        "vocabulary": vocabulary,
        "calibration": [0.0, 1.0, 0.0, 0.0, 0.0],
        "layers": 1,
        "decoder_layers": 1,
    }
    return Weights.of(stored(arrays, meta))


def _norm(name: str, width: int) -> Mapping[str, np.ndarray]:
    one = np.ones(width, dtype=np.float32)
    return {f"{name}.weight": one, f"{name}.bias": one * 0}


def _check(graph: ReadGraph, text: str, files: tuple[str, ...]) -> None:
    spans = [w for job in graph.jobs for v in job.values for w in v.words]
    spans += [w for part in graph.not_done for w in part.words]
    assert all(0 <= w.start < w.end <= len(text) for w in spans)
    assert len(graph.jobs) <= MAX_JOBS
    assert all(0 <= a < b < len(graph.jobs) for a, b in graph.order)
    for index, job in enumerate(graph.jobs):
        assert set(job.files.values()) <= set(files)
        assert all(k < index for k, _ in job.outputs.values())
        assert len({v.path for v in job.values}) == len(job.values)
        assert all(v.of is None or v.of < index for v in job.values)
        assert all(v.log_probability <= 0 for v in job.values)
        for label, kinds in _KINDS.items():
            path = label.partition(":")[2].partition("=")[0]
            if job.kind not in kinds and not label.startswith(("file", "out")):
                assert path not in {v.path for v in job.values}


@pytest.mark.parametrize(
    "text",
    [
        _TEXT,
        "x\ty\r\n\u00a0é ß 中文 🙂 1e5 1,000.5 a_b_c  ",
        "A.MPS and a.mps.gz, notb.cc; b.c",
        "½ hour ≤ 5 % (a.mps)",
    ],
)
def test_words_lie_where_they_are_said_to_and_cover_all_that_is_no_blank(
    text: str,
) -> None:
    words = words_of(text, _FILES)
    assert all(text[w.start : w.end] == w.text for w in words)
    assert all(a.end <= b.start for a, b in pairwise(words))
    covered = {i for w in words for i in range(w.start, w.end)}
    assert all(i in covered or c.isspace() for i, c in enumerate(text))


def test_an_attached_file_is_one_word_and_its_stem_is_known() -> None:
    words = words_of("A.mps, then a again", _FILES)
    assert [(w.text, w.file) for w in words] == [
        ("A.mps", 0),
        (",", -1),
        ("then", -1),
        ("a", 0),
        ("again", -1),
    ]


def test_longest_pieces_come_first_and_unknown_letters_are_one_unknown_piece() -> None:
    pieces = Pieces({"th": 1000, "then": 1001, "##s": 1002})
    assert pieces.of("Thens") == [1001, 1002]
    assert pieces.of("thé") == [100]


@pytest.mark.parametrize("seed", range(4))
def test_every_graph_of_random_weights_is_legal(seed: int) -> None:
    graph = read_graph(_TEXT, _FILES, weights=untrained(seed), width=1 + seed % 3)
    if graph is not None:
        _check(graph, _TEXT, _FILES)


def test_every_step_taken_at_random_is_legal_until_the_end() -> None:
    labels = Labels(names=_NAMES, kinds=_KINDS)
    row = coded(_TEXT, _FILES, Pieces(untrained(0).vocabulary))
    assert row is not None
    from search.domains.plan.reading.graphs.grammar import Act, Step

    rng, ends = np.random.default_rng(5), 0
    for _ in range(30):
        machine = Machine(labels, row)
        for _ in range(80):
            allowed, words, files = machine.legal()
            steps = [Step(act=Act.LABEL, at=int(i)) for i in np.flatnonzero(allowed)]
            if words:
                at = int(rng.integers(len(row.words)))
                steps += [Step(act=Act.WORDS, at=at, last=at)] * 4
            if files:
                steps += [Step(act=Act.FILE, at=int(rng.integers(len(_FILES))))] * 2
            if machine.ended or not steps:
                break
            machine.push(steps[int(rng.integers(len(steps)))])
        ends += machine.ended
        _check(machine.graph(), _TEXT, _FILES)
    assert ends > 10


def test_the_same_goal_is_read_the_same_again() -> None:
    weights = untrained(3)
    assert read_graph(_TEXT, _FILES, weights=weights) == read_graph(
        _TEXT, _FILES, weights=untrained(3)
    )


@pytest.mark.parametrize(
    "text", ["", "   \n\t ", "a " * 500_000, "x" * 1_000_000, "9" * 5000]
)
def test_texts_without_words_or_too_long_are_not_read(text: str) -> None:
    graph = read_graph(text, _FILES, weights=untrained(1), width=1)
    assert graph is None or len(text) == 5000


@pytest.mark.parametrize(
    "text",
    [
        "Bitte löse a.mps in fünf Minuten.",
        "请在五分钟内求解 a.mps。",
        "\u202e\ufeff\x00 a.mps",
    ],
)
def test_other_languages_and_odd_characters_are_read_or_refused(text: str) -> None:
    graph = read_graph(text, _FILES, weights=untrained(2), width=1)
    if graph is not None:
        _check(graph, text, _FILES)


def test_more_files_than_are_seen_do_no_harm() -> None:
    files = tuple(f"f{i}.mps" for i in range(MAX_FILES + 5))
    graph = read_graph(" ".join(files), files, weights=untrained(4), width=1)
    if graph is not None:
        _check(graph, " ".join(files), files)


def test_a_beam_finds_no_less_likely_sequence_first() -> None:
    weights = untrained(6)
    row = coded(_TEXT, _FILES, Pieces(weights.vocabulary))
    assert row is not None
    found = decoded(weights, row, width=4)
    totals = [each.log_probability for each in found]
    assert totals == sorted(totals, reverse=True)
    assert all(weights.labels.sorts[each.steps[-1].at] == Sort.END for each in found)


def test_the_shipped_weights_read_a_plain_goal() -> None:
    text = "Solve plant.mps with scip for 90 s on 4 threads."
    graph = read_graph(text, ("plant.mps",))
    assert graph is not None
    assert [job.kind for job in graph.jobs] == ["ilp"]
    assert dict(graph.jobs[0].files) == {"model": "plant.mps"}
    paths = {value.path for value in graph.jobs[0].values}
    assert paths == {"spec.engine", "budget.seconds", "spec.threads"}
    assert 0 < graph.confidence < 1
    assert graph == read_graph(text, ("plant.mps",))


def test_labels_of_the_shipped_weights_name_fields_of_their_kinds() -> None:
    labels = shipped().labels
    for label, path in zip(labels.names, labels.paths, strict=True):
        for kind in labels.kinds.get(label, ()):
            assert look_up(kind, path)[0].startswith(path.split(".")[0]), label
