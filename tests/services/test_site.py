"""Address that links in reports begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.settings import SettingsRefused, load


def site(tmp_path: Path, **given: Any) -> str:
    return load(data_dir=tmp_path, **given).site


def test_it_is_the_address_that_the_server_listens_on(tmp_path: Path) -> None:
    assert site(tmp_path) == "http://127.0.0.1:8642"
    assert site(tmp_path, host="::1", port=80) == "http://[::1]:80"


def test_it_is_not_known_where_that_is_no_address(tmp_path: Path) -> None:
    assert site(tmp_path, port=0) == ""
    for host in ("0.0.0.0", "::"):
        assert site(tmp_path, host=host, allowed_hosts="opt.example") == ""


def test_a_public_address_comes_first(tmp_path: Path) -> None:
    public = "https://opt.example/trimtab"
    assert site(tmp_path, public_url=f"{public}/") == public


@pytest.mark.parametrize(
    "wrong", ["opt.example", "ftp://opt.example", "https://a/?q=1", "javascript:alert(1)"]
)
def test_another_text_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsRefused, match=r"TRIMTAB_PUBLIC_URL: .*expected http"):
        load(data_dir=tmp_path, public_url=wrong)
