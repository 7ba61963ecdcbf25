import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cost_models.antenna.surrogate import Surrogate
from workers.train.antenna import shards
from workers.train.antenna.cli import main

pytest.importorskip("torch")
SMALL = ["--width", "8", "--depth", "1", "--epochs", "2", "--fine-epochs", "1"]
FREQUENCIES = np.linspace(3e9, 6e9, 21)


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def test_own_board_from_file_to_predictions(board_file, work, monkeypatch, capsys):
    monkeypatch.setattr(shards, "SIZE", 40)
    words = ["--board", str(board_file), "--work", str(work)]
    assert main([*words, "--samples", "80", "--fine", "8", *SMALL]) == 0
    path = capsys.readouterr().out.strip()
    made = Surrogate.load(work / "surrogate.safetensors")
    assert path == str(work / "surrogate.safetensors")
    assert made.facts.board.feed == (1, 3)
    assert 0 < made.facts.samples < 80
    assert {"coarse_complex_mae", "coarse_db_mae"} <= set(made.facts.errors)
    mask = np.zeros((1, 6, 6), bool)
    mask[0, :4, 1:5] = True
    s11 = made.predict(mask, np.array([[1, 3]]), FREQUENCIES)
    assert np.abs(s11).max() <= 1 + 1e-5
    card = json.loads((work / "surrogate.json").read_text())
    assert card["board"]["eps_r"] == 2.2
    assert (
        main(
            [
                "publish",
                str(work / "surrogate.safetensors"),
                "--command",
                "made in a test",
                "--name",
                "antenna-test",
                "--out",
                str(work / "weights"),
            ]
        )
        == 0
    )
    assert "antenna-test" in (work / "weights/MANIFEST.toml").read_text()
    # The folder belongs to its board.
    other = json.loads(board_file.read_text()) | {"f_max_hz": 5e9}
    board_file.write_text(json.dumps(other))
    assert main(["data", *words]) == 2
    assert "another one" in capsys.readouterr().err


def test_fit_resumes_after_a_kill_and_ends_with_the_same_weights(
    board_file, work, monkeypatch
):
    monkeypatch.setattr(shards, "SIZE", 80)
    words = ["--board", str(board_file), "--work", str(work)]
    assert main(["data", *words, "--samples", "80", "--fine", "8"]) == 0
    fit = ["fit", *words, *SMALL, "--epochs", "40"]
    command = [sys.executable, "-m", "workers.train", "antenna", *fit]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=one_thread())
    deadline = time.monotonic() + 60
    while not list(work.glob("fit-*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (work / "surrogate.safetensors").exists()
    assert main(fit) == 0
    resumed = Surrogate.load(work / "surrogate.safetensors")
    for path in work.glob("fit-*"):
        path.unlink()
    assert main(fit) == 0
    whole = Surrogate.load(work / "surrogate.safetensors")
    for name, value in whole.weights.items():
        np.testing.assert_allclose(resumed.weights[name], value, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit"], "run `data` first"),
        (["board"], "--board FILE"),
        (["data", "--board", "absent.json"], "readable file"),
    ],
)
def test_errors_say_what_to_do(words, message, work, capsys):
    assert main([*words, "--work", str(work)]) == 2
    assert message in capsys.readouterr().err


def test_names_of_shipped_surrogates_have_a_prefix(tmp_path, capsys):
    words = ["publish", str(tmp_path / "a"), "--command", "x", "--name", "duroid"]
    assert main(words) == 2
    assert "antenna-" in capsys.readouterr().err
