"""Ids sort by creation and have one format; importing the package stays cheap."""

from __future__ import annotations

import subprocess
import sys

from services.store.ids import IdMaker


def test_ids_grow_and_have_one_shape() -> None:
    make = IdMaker("job")
    ids = [make() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {30}


def test_importing_the_package_loads_no_database_code() -> None:
    check = (
        "import sys, services.store, tests.doubles.memory_store\n"
        "assert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
