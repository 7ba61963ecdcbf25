"""Lines of a measurement: printed and appended one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.bench.lines import write_lines


def test_each_line_is_kept_as_it_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "lines.jsonl"

    def measured() -> Iterator[dict[str, Any]]:
        yield {"value": 1}
        assert json.loads(out.read_text())["value"] == 1, "kept before the next one"
        yield {"value": 2, "seed": 9}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(measured(), suite="some-suite", seed=3, out=out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["value"] for line in lines] == [1, 2]
    assert [line["seed"] for line in lines] == [3, 9], "a line's own fields win"
    assert all(line["suite"] == "some-suite" for line in lines)
    assert lines[0]["machine"]["cores"] >= 1
    assert capsys.readouterr().out == out.read_text()
