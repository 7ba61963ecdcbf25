"""Lists in forms: rows of controls, rows added and removed by buttons, pasted CSV and JSON."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field as Rule

from services.web.answers import Answers, answers_of, read
from services.web.form_view import MAX_FAULTS, FormView, check, request_form
from services.web.forms import Control, Field
from services.web.paste import parse
from services.web.rows import MAX_SHOWN, action_of, arrange
from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page
from trimtab.specs import AntennaSpec, CompileSpec, ShardingSpec, request_model
from trimtab.specs.common import ArtifactRef, Spec, WireModel

DIGEST = "sha256:" + "ab" * 32
SHARDING = request_model(ShardingSpec)
FORM = request_form(SHARDING)
DEVICES = {"spec.devices.0.count": ["4"], "spec.devices.0.memory_gib": ["16"]}
TABLES = "spec.tables@paste"


def field(root: Field, name: str) -> Field:
    return next(item for item in root.leaves() if item.name == name)


def spec_of(values: dict[str, list[str]]) -> dict[str, Any]:
    body, faults = check(FORM, SHARDING, "sharding", Answers(values=values))
    assert faults == []
    spec: dict[str, Any] = body["spec"]
    return spec


def faults_of(values: dict[str, list[str]]) -> list[tuple[str, str]]:
    answers, _ = arrange(FORM, Answers(values=values))
    _, faults = check(FORM, SHARDING, "sharding", answers)
    view = FormView(FORM, answers, faults)
    return [(fault.where.removeprefix("Spec › "), fault.text) for fault in view.faults]


@pytest.mark.parametrize("spec", [ShardingSpec, CompileSpec, AntennaSpec])
def test_no_list_of_objects_is_a_json_box(spec: type[Spec]) -> None:
    """Devices, tables, pins, runs, bands: all have columns, derived from the schema."""
    for leaf in request_form(request_model(spec)).leaves():
        assert leaf.control is not Control.JSON, leaf.name
        if leaf.control is Control.ROWS:
            assert [cell.label for cell in leaf.at(0).cells]


def test_rows_become_entries_and_blank_ones_are_left_out() -> None:
    spec = spec_of(
        {
            **DEVICES,
            "spec.devices.1.count": [""],
            "spec.devices.1.hardware": [""],
            "spec.devices.7.count": ["2"],
            "spec.devices.7.memory_gib": ["8"],
            "spec.devices.7.hardware": ["h100"],
            "spec.tables.0.name": ["a"],
            "spec.tables.0.rows": ["100"],
            "spec.tables.0.dim": ["8"],
            "spec.constraints.pin.0.table": ["a"],
            "spec.constraints.pin.0.devices": ["0, 3\n5"],
        }
    )
    assert spec["devices"] == [
        {"count": 4, "memory_gib": 16.0},
        {"count": 2, "memory_gib": 8.0, "hardware": "h100"},
    ]
    assert spec["constraints"]["pin"] == [{"table": "a", "devices": [0, 3, 5]}]


@pytest.mark.parametrize(
    "text",
    [
        "name,rows,dim\na,100,8\nb,200,16\n",
        "name;rows;dim\r\na;100;8\r\n\r\nb;200;16",
        "Name\tRows\tDim\na\t100\t8\nb\t200\t16",
        "\ufeffdim,name,rows\n8,a,100\n16,b,200",
        '[{"name": "a", "rows": 100, "dim": 8}, {"name": "b", "rows": 200, "dim": 16}]',
    ],
)
def test_a_pasted_list_becomes_rows(text: str) -> None:
    answers, faults = arrange(
        FORM, Answers(values={**DEVICES, TABLES: [text]}), action_of("paste:spec.tables")
    )
    assert faults == []
    view = FormView(FORM, answers)
    rows = view.rows(field(FORM, "spec.tables"))
    assert [view.value(row.cells[0]) for row in rows] == ["a", "b"]
    assert view.pasted(field(FORM, "spec.tables")) == ""
    wanted = [
        {"name": "a", "rows": 100, "dim": 8},
        {"name": "b", "rows": 200, "dim": 16},
    ]
    assert read(FORM, answers)[0]["spec"]["tables"] == wanted
    # Also without the button, and after rows that were typed.
    typed = {"spec.tables.0.name": ["z"], "spec.tables.0.rows": ["1"]}
    typed["spec.tables.0.dim"] = ["4"]
    spec = spec_of({**DEVICES, **typed, TABLES: [text]})
    assert spec["tables"] == [{"name": "z", "rows": 1, "dim": 4}, *wanted]


def test_columns_within_a_column_and_the_tag_that_they_imply() -> None:
    text = "name,rows,dim,alpha,active_rows\na,100,8,1.2,50\nb,100,8,,\n"
    first, second = spec_of({**DEVICES, TABLES: [text]})["tables"]
    assert first["access"] == {"type": "zipf", "alpha": 1.2, "active_rows": 50}
    assert "access" not in second


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("name,rows,width\na,1,8", "Tables", "the column 'width'"),
        ("name,rows,rows\na,1,8", "Tables", "a repeated column 'rows'"),
        ("name,rows,dim\na,1,8,9", "Tables", "3 cells in line 2"),
        ("name,rows,dim", "Tables", "at least one row"),
        ('name,rows,dim\n"a,1,8', "Tables", "CSV"),
        ("[{]", "Tables", "JSON"),
        ("[NaN]", "Tables", "JSON without NaN"),
        ("[" * 100_000, "Tables", "JSON that is nested less deeply"),
        ("[1]", "Tables", "row 1: expected"),
        ('[{"name": "a", "rows": "x", "dim": 8}]', "Tables", "row 1, Rows: expected"),
        ('[{"name": "a", "rows": 1, "dim": 8, "x": 1}]', "Tables", "no such field"),
        ("name,rows,dim\na,1,8\nb,2,9", "Tables › Row 2 › Dim", "a multiple of 4"),
        ("name,rows,dim\na,many,8", "Tables › Row 1 › Rows", "a whole number, got many"),
        ("name,rows\na,5", "Tables › Row 1 › Dim", "got nothing"),
    ],
)
def test_a_fault_names_the_row_and_the_column(text: str, where: str, words: str) -> None:
    faults = faults_of({**DEVICES, TABLES: [text]})
    assert [fault[0] for fault in faults][:1] == [where]
    assert words in faults[0][1]


def test_a_long_list_stays_text_with_its_faults_beside_it() -> None:
    lines = [f"t{n},{n + 1},8" for n in range(MAX_SHOWN + 5)]
    assert len(
        spec_of({**DEVICES, TABLES: ["\n".join(["name,rows,dim", *lines])]})["tables"]
    ) == (MAX_SHOWN + 5)
    lines[63] = "t63,64,9"
    faults = faults_of({**DEVICES, TABLES: ["\n".join(["name,rows,dim", *lines])]})
    assert len(faults) == 1
    assert faults[0][0] == "Tables"
    assert faults[0][1].startswith("row 64, Dim: expected a multiple of 4")


def test_many_faults_are_counted() -> None:
    lines = "\n".join(f"t{n},1,9" for n in range(200))
    answers = Answers(values={**DEVICES, TABLES: [f"name,rows,dim\n{lines}"]})
    _, faults = check(FORM, SHARDING, "sharding", answers)
    view = FormView(FORM, answers, faults)
    assert (len(view.faults), view.fault_count) == (MAX_FAULTS, 200)


class Part(WireModel):
    depth: Annotated[int, Rule(ge=1)] = 3
    words: Annotated[tuple[str, ...], Rule(strict=False)] = ()
    source: ArtifactRef | None = None


class Parts(Spec):
    """Lists of entries that need nothing, of lists, of files."""

    KIND: ClassVar[str] = "parts"
    parts: Annotated[tuple[Part, ...], Rule(strict=False)] = ()
    groups: Annotated[tuple[tuple[str, ...], ...], Rule(strict=False)] = ()
    inputs: Annotated[tuple[ArtifactRef, ...], Rule(strict=False)] = ()


PARTS = request_model(Parts)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"parts": [{}]},
        {"parts": [{"depth": 1, "words": ["a b", "c"]}, {}, {"depth": 3}]},
        {"parts": [{"source": {"digest": DIGEST, "name": "a.bin"}}]},
        {"groups": [["a", "b"], ["c"]]},
        {"inputs": [{"digest": DIGEST, "name": "x"}, {"digest": DIGEST, "name": "y"}]},
        {"parts": [{"depth": n + 1} for n in range(MAX_SHOWN + 1)]},
    ],
)
def test_cloning_lists_asks_for_the_same_again(spec: dict[str, Any]) -> None:
    root = request_form(PARTS)
    request = PARTS.model_validate_json(json.dumps({"kind": "parts", "spec": spec}))
    answers, _ = arrange(root, answers_of(root, request.model_dump(mode="json")))
    body, faults = check(root, PARTS, "parts", answers)
    assert faults == []
    assert PARTS.model_validate_json(json.dumps(body)) == request


def test_buttons_add_and_remove_rows(reader: Reader) -> None:
    """The form works without scripts: each button comes back with every answer."""
    url = "/submit/sharding"
    form = reader.get(url).form(url)
    typed = form.fill(
        **{"spec.devices.0.count": "4", "spec.devices.0.memory_gib": "16"},
        labels="x=" + EVIL,
    )
    answer = reader.post(url, [*typed, ("@rows", "add:spec.devices")])
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    names = {"spec.devices.0.count": "4", "spec.devices.1.count": ""}
    form = Page(answer.text).form(url)
    assert names.items() <= dict(form.values).items()
    two = form.fill(**{"spec.devices.1.count": "2", "spec.devices.1.memory_gib": "8"})
    answer = reader.post(url, [*two, ("@rows", "remove:spec.devices:0")])
    form = Page(answer.text).form(url)
    assert dict(form.values)["spec.devices.0.count"] == "2"
    assert "spec.devices.1.count" not in dict(form.values)
    csv = form.fill(**{TABLES: "name,rows,dim\na,100,8\nb,100,10"})
    answer = reader.post(url, [*csv, ("@rows", "paste:spec.tables")])
    assert answer.status_code == 200
    form = Page(answer.text).form(url)
    assert dict(form.values)["spec.tables.1.dim"] == "10"
    answer = reader.post(url, form.fill())
    assert answer.status_code == 422
    page = Page(answer.text)
    assert "Spec › Tables › Row 2 › Dim" in page.text
    assert "#f-spec-tables-1-dim" in page.hrefs
    answer = reader.post(url, page.form(url).fill(**{"spec.tables.1.dim": "12"}))
    assert answer.status_code == 303, answer.text
    job = reader.do(reader.store.get(answer.headers["location"].removeprefix("/jobs/")))
    assert [table["dim"] for table in job.spec["tables"]] == [8, 12]
    clone = reader.get(f"{url}?from={job.id}").form(url)
    assert dict(clone.values)["spec.tables.1.dim"] == "12"


@pytest.mark.parametrize(
    "value",
    ["remove:spec.devices:9999999999", "add:spec.nowhere", "clear:seed", "¼", ":"],
)
def test_a_made_up_button_does_no_harm(reader: Reader, value: str) -> None:
    url = "/submit/sharding"
    form = reader.get(url).form(url)
    answer = reader.post(url, [*form.fill(), ("@rows", value)])
    assert answer.status_code in (200, 422)


def test_files_of_rows_and_lists_are_stored(reader: Reader) -> None:
    url = "/submit/compile"
    form = reader.get(url).form(url)
    answer = reader.post(url, [*form.fill(), ("@rows", "add:spec.runs")])
    form = Page(answer.text).form(url)
    assert "spec.runs.0.stdin_file" in form.files
    body = form.fill(
        **{"spec.source_text": "int main(){return 0;}", "spec.language": "c"}
    )
    files = [
        ("spec.runs.0.stdin_file", ("in.bin", b"12")),
        ("spec.link.objects", ("a.o", b"a")),
        ("spec.link.objects", ("b.o", b"bb")),
    ]
    answer = reader.post(url, body, files=files)
    assert answer.status_code == 303, answer.text
    spec = reader.do(
        reader.store.get(answer.headers["location"].removeprefix("/jobs/"))
    ).spec
    assert spec["runs"][0]["stdin_file"]["size_bytes"] == 2
    assert [one["name"] for one in spec["link"]["objects"]] == ["a.o", "b.o"]


BINS = [0.5, 0.25, *[0.0] * 14, 0.25]


@pytest.mark.parametrize("prefix", ["bin_", "Bin_", "access.bin_"])
def test_numbers_of_a_list_may_be_a_column_each(prefix: str) -> None:
    header = ["name", "rows", "dim", *(f"{prefix}{k}" for k in range(len(BINS)))]
    lines = [
        header,
        ["a", "100", "8", *map(str, BINS)],
        ["b", "200", "16", *[""] * len(BINS)],
    ]
    text = "\n".join("\t".join(cells) for cells in lines)
    first, second = spec_of({**DEVICES, TABLES: [text]})["tables"]
    assert first["access"] == {"type": "reuse", "bins": BINS}
    assert "access" not in second


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name,rows,dim,bin_1\na,1,8,1\n", "next bin_0; got 'bin_1'"),
        ("name,rows,dim,bin_0,bin_0\na,1,8,1,1\n", "next bin_1; got 'bin_0'"),
        ("name,rows,dim,bin_0,access.bins\na,1,8,1,1\n", "got a repeated column"),
        ("name,rows,dim,bun_0\na,1,8,1\n", "got the column 'bun_0'"),
        ("name,rows,dim,bin_0,bin_1\na,1,8,,1\n", "not a blank before '1'"),
    ],
)
def test_numbered_columns_are_complete_and_in_order(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        parse(field(FORM, "spec.tables"), text)
