import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cost_models.antenna.image import canonical
from workers.train.antenna import shards
from workers.train.antenna.boards import read_board
from workers.train.antenna.dataset import by_cavity, draw_batch, read_samples
from workers.train.antenna.designs import FEEDS, Source
from workers.train.antenna.shards import make_shards, read_shard, shard_paths
from workers.train.antenna.train import cavity_of
from workers.train.steps import StepError

SMALL = ("--samples", "60", "--fine", "6")


def make(board, folder, monkeypatch, *, samples=40, fine=4, seed=0, size=20):
    monkeypatch.setattr(shards, "SIZE", size)
    make_shards(board, folder, samples=samples, fine=fine, seed=seed, say=lambda _: None)
    return shard_paths(folder, "coarse"), shard_paths(folder, "fine")


def test_shards_are_labelled_designs_on_both_meshes(board_file, work, monkeypatch):
    board = read_board(board_file)
    coarse, fine = make(board, work, monkeypatch)
    assert len(coarse) == 2
    first, again = read_shard(coarse[0]), read_shard(fine[0])
    assert first.s11.shape == (first.first[-1], FEEDS)
    assert (np.diff(first.first) >= 9).all()
    assert (first.feeds[:, 0] == (1, 3)).all()
    for index in range(len(first.masks)):
        mask = first.mask(index)
        cells = first.feeds[index][first.feeds[index, :, 0] != 255]
        assert mask[cells[:, 0], cells[:, 1]].all()
        assert len({tuple(cell) for cell in cells.tolist()}) == len(cells)
    # The fine mesh has every tenth design, with about the same response.
    np.testing.assert_array_equal(again.mask(1), first.mask(10))
    assert 1e-4 < np.abs(again.curves[1] - first.curves[10]).mean() < 0.6
    assert np.abs(first.curves).max() <= 1.02


def test_a_shard_depends_on_seed_and_number_alone(board_file, work, monkeypatch):
    board = read_board(board_file)
    (_, second), _ = make(board, work, monkeypatch, fine=0)
    before = read_shard(second)
    second.unlink()
    make(board, work, monkeypatch, fine=0)
    for name in ("masks", "feeds", "s11", "solved"):
        np.testing.assert_array_equal(
            getattr(before, name), getattr(read_shard(second), name)
        )
    second.unlink()
    make(board, work, monkeypatch, fine=0, seed=1)
    assert (read_shard(second).masks != before.masks).any()


def test_a_trajectory_shard_is_what_searches_visit(board_file, work, monkeypatch):
    board = read_board(board_file)
    paths, _ = make(board, work, monkeypatch, samples=160, fine=0, size=40)
    trajectory = read_shard(paths[3])
    assert set(trajectory.source) == {Source.TRAJECTORY}
    assert set(trajectory.family) == {0}
    mutated = np.concatenate([read_shard(path).source for path in paths[:3]])
    assert {Source.RECTANGLES, Source.MUTATION} == set(mutated)


def test_split_keeps_families_together_and_duplicates_out(board_file, work, monkeypatch):
    board = read_board(board_file)
    coarse, fine = make(board, work, monkeypatch, samples=160, fine=16, size=40)
    samples = read_samples(coarse, by_cavity(cavity_of(board.facts)))
    forms = [canonical(mask) for mask in samples.masks]
    assert len(set(forms)) == len(forms) < 160
    assert 0 < len(samples.test_rows) < len(samples) / 3
    train = {forms[row] for row in samples.train_rows}
    assert not train & {forms[row] for row in samples.test_rows}
    for path in coarse:
        shard = read_shard(path)
        held_out: dict[int, set[bool]] = {}
        for index, family in enumerate(shard.family.tolist()):
            form = canonical(shard.mask(index))
            if form in forms:
                held_out.setdefault(family, set()).add(
                    bool(samples.is_test[forms.index(form)])
                )
        # A duplicate of another family's design is kept where it came first.
        assert sum(len(sides) == 2 for sides in held_out.values()) <= 2
    refined = read_samples(fine, by_cavity(cavity_of(board.facts)))
    by_form = dict(zip(forms, samples.is_test, strict=True))
    for mask, is_test in zip(refined.masks, refined.is_test, strict=True):
        assert by_form[canonical(mask)] == is_test


def test_batches_have_values_of_their_design_and_feed(board_file, work, monkeypatch):
    board = read_board(board_file)
    coarse, _ = make(board, work, monkeypatch, fine=0)
    samples = read_samples(coarse, by_cavity(cavity_of(board.facts)))
    batch = draw_batch(
        samples, np.array([5, 2]), np.random.default_rng(0), feeds=3, points=6
    )
    assert (batch.cells[:, 0] == samples.feeds[[5, 2], 0]).all()
    for k, row in enumerate((5, 2)):
        at = batch.points[k]
        np.testing.assert_allclose(batch.s11[k, 0], samples.curves[row][at], atol=1e-3)
        assert (batch.masks[k] == samples.masks[row]).all()
        number = int(
            np.flatnonzero((samples.feeds[row] == batch.cells[k, 2]).all(axis=1))[0]
        )
        np.testing.assert_array_equal(batch.given[k, 2], samples.given[row, number])
    total = [
        samples.widths[first : first + count].sum()
        for first, count in zip(samples.first, samples.count, strict=True)
    ]
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_two_processes_share_the_work_and_a_killed_one_leaves_no_half(board_file, work):
    """Start two, kill one with SIGKILL while it works, start again: every shard is whole."""
    code = (
        "from workers.train.antenna import shards; shards.SIZE = 10\n"
        "from workers.train.antenna.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "data", "--board", str(board_file)]
    command += ["--work", str(work), *SMALL]
    first, second = (
        subprocess.Popen(command, stderr=subprocess.DEVNULL, env=one_thread())
        for _ in range(2)
    )
    deadline = time.monotonic() + 60
    while not shard_paths(work, "coarse") and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert second.wait(timeout=60) == 0
    finished = {path: path.stat().st_mtime_ns for path in work.glob("*.npz")}
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=one_thread())
    assert len(shard_paths(work, "coarse")) == 6
    assert len(shard_paths(work, "fine")) == 6
    for path in work.glob("*.npz"):
        read_shard(path)
        assert finished.get(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.parametrize("name", ["masks", "s11"])
def test_shards_hold_no_pickles(name, board_file, work, monkeypatch):
    coarse, _ = make(
        read_board(board_file), work, monkeypatch, samples=10, fine=0, size=10
    )
    with np.load(coarse[0], allow_pickle=False) as stored:
        assert stored[name].dtype != object
    bad = work / "bad.npz"
    with np.load(coarse[0]) as stored:
        np.savez(bad, **{**dict(stored), name: np.array([{}], object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        read_shard(bad)


def test_labels_of_an_older_solver_are_refused(board_file, work, monkeypatch):
    coarse, _ = make(
        read_board(board_file), work, monkeypatch, samples=10, fine=0, size=10
    )
    monkeypatch.setitem(shards.SOLVER_VERSIONS, "coarse", 99)
    with pytest.raises(StepError, match=r"solver version 99, got 1; delete the file"):
        read_shard(coarse[0])


def test_samples_remember_what_they_were_read_from(board_file, work, monkeypatch):
    board = read_board(board_file)
    coarse, _ = make(board, work, monkeypatch, fine=0)
    cavity = by_cavity(cavity_of(board.facts))
    whole, part = read_samples(coarse, cavity), read_samples(coarse[:1], cavity)
    assert whole.digest != part.digest
    assert read_samples(coarse, cavity).digest == whole.digest
