"""Descriptions of fields: the docstrings below them, those of base classes included."""

from __future__ import annotations

from pydantic import BaseModel, Field, create_model

from trimtab.specs.common import Spec
from trimtab.specs.docstrings import DescribedModel, description
from trimtab.specs.ilp import IlpSpec


class Part(DescribedModel):
    """A nested model."""

    size: int = 1
    """Its size,
    in bytes.
    """


class Whole(DescribedModel):
    """A model with every sort of field."""

    part: Part = Part()
    """The part."""
    own: int = Field(1, description="what the field says")
    """Not this."""
    renamed: int = Field(1, alias="other")
    """The name on the wire is another."""
    none: int = 1


class Later(Whole):
    """A model that changes a field of its base and inherits the others."""

    part: Part | None = None


def test_a_schema_has_the_docstrings() -> None:
    schema = Whole.model_json_schema()
    fields = schema["properties"]
    assert fields["part"]["description"] == "The part."
    assert fields["own"]["description"] == "what the field says"
    assert fields["other"]["description"] == "The name on the wire is another."
    assert "description" not in fields["none"]
    nested = schema["$defs"]["Part"]["properties"]
    assert nested["size"]["description"] == "Its size,\nin bytes."
    inherited = Later.model_json_schema()["properties"]
    assert inherited["other"]["description"] == "The name on the wire is another."
    assert "description" not in inherited["part"], "the docstring is of another field"


def test_fields_without_a_source_have_no_description() -> None:
    made = create_model("Made", __base__=Part, more=(int, 1))
    assert description(made, "size") == "Its size,\nin bytes."
    assert description(made, "more") == description(made, "absent") == ""
    assert description(BaseModel, "size") == ""


def test_every_field_of_a_kind_is_described() -> None:
    """As with pydantic's own reading where the class is made."""
    fields = IlpSpec.model_json_schema()["properties"]
    assert [name for name in fields if not fields[name].get("description")] == []
    assert issubclass(Spec, DescribedModel)
