"""Parts common to all kinds: the request's envelope, its budget, references to uploaded files.

A request on the wire is

    {"kind": "ilp", "spec": {...}, "budget": {"seconds": 60}, "seed": 0, "labels": {}}

`kind` chooses the model of `spec`. Models are strict (no coercion: `true` is not an integer),
closed (an unknown field is an error, so a typo never becomes a default) and frozen. NaN and
infinity are refused, because JSON cannot represent them.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from trimtab.solution import Variables
from trimtab.specs.docstrings import DescribedModel

MAX_SECONDS = 86_400.0
MAX_LABELS = 32


def _take_words(schema: Any, handler: GetCoreSchemaHandler, seen: set[int]) -> None:
    """Make enumerations and nested models accept JSON values. Changes the schema in place."""
    if id(schema) in seen:
        return
    seen.add(id(schema))
    if isinstance(schema, dict):
        if schema.get("type") == "definition-ref":
            _take_words(
                handler.resolve_ref_schema(cast("CoreSchema", schema)), handler, seen
            )
            return
        if schema.get("type") in ("enum", "model"):
            schema["strict"] = False
        for part in schema.values():
            _take_words(part, handler, seen)
    elif isinstance(schema, list):
        for part in schema:
            _take_words(part, handler, seen)


if TYPE_CHECKING:
    # To type checkers WireModel is an ordinary model: constructors keep their signatures.
    from pydantic._internal._model_construction import ModelMetaclass as _OwnErrors
else:

    class _OwnErrors(type(BaseModel)):
        """Makes constructors raise the SDK's own error; parsing JSON raises pydantic's."""

        def __call__(cls, *args, **fields):
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                from trimtab.errors import SpecError
                from trimtab.faults import faults_in

                raise SpecError(cls.__name__, faults_in(cls, error)) from None


class WireModel(DescribedModel, metaclass=_OwnErrors):
    """Base of all models of the wire.

    Constructors take the values that JSON has, also for enumerations and nested models:
    `hardware="a100"`, `fabric={"devices_per_node": 8}`. Numbers, text and booleans stay strict.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _take_words(schema, handler, set())
        return schema


def _storable(text: str) -> str:
    # PostgreSQL's text type has no NUL, and a lone surrogate cannot be encoded as UTF-8.
    if "\x00" in text:
        raise ValueError("contains a NUL character; remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            "contains a lone surrogate, which is not valid Unicode text; remove it"
        ) from error
    return text


Text = Annotated[str, AfterValidator(_storable)]
MAX_NAME = 120
# Marks that change the direction of the text around them: a name could pose as another.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _display_name(text: str) -> str:
    """Return a name without blanks around it, in normal form C. Raises ValueError."""
    _storable(text)
    name = unicodedata.normalize("NFC", text).strip()
    if len(name) > MAX_NAME:
        raise ValueError(f"expected at most {MAX_NAME} characters, got {len(name)}")
    for mark in name:
        if unicodedata.category(mark) in ("Cc", "Zl", "Zp") or mark in _DIRECTION_MARKS:
            raise ValueError(
                f"expected text on one line, got the control character U+{ord(mark):04X}; "
                "remove it"
            )
    return name


ShortText = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
DisplayName = Annotated[str, AfterValidator(_display_name)]
"""Name for people: any script, at most 120 characters on one line."""
LabelKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-/]{0,62}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

DIGEST_PATTERN = re.compile(r"^sha256:[0-9a-f]{64}$")
JobName = Annotated[str, Field(pattern=r"^(job_[0-9A-Z]{26}|#[0-9]{1,5})$")]
MAX_AFTER = 10_000
MODEL_AUTO, MODEL_SHIPPED = "auto", "shipped"
MODEL_ID_PATTERN = r"mdl_[0-9A-Z]{26}"


class Needs(StrEnum):
    """Requirement on a job that another one waits for."""

    SUCCESS = "success"
    """That it SUCCEEDED; else this job is SKIPPED."""
    DONE = "done"
    """That it ended, in whatever way."""


class After(WireModel):
    """A job to wait for."""

    job: JobName
    """Id of a job; `#N` for the job with index N, counted from 0, earlier in the same batch."""
    needs: Needs = Needs.SUCCESS
    """What is needed of that job."""


def _id_alone(value: Any) -> Any:
    return {"job": value} if isinstance(value, str) else value


class ArtifactRef(WireModel):
    """An uploaded or produced file, named by its content; or a file that another job will make.

    `{"job": "job_...", "output": "solution.sol"}` stands for a file that does not exist yet: the
    job waits for that one, and reads its file.
    """

    digest: Digest = Field(default_factory=str)
    """`sha256:` and 64 hex digits, as returned by `POST /v1/artifacts`. Omitted beside `job`."""
    name: ShortText = ""
    """File name, shown to people and used to detect the format; never used as a path."""
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    """Size of the stored file. If given in a spec, it must agree with the store."""
    media_type: ShortText | None = None
    """Media type of the stored file. If given in a spec, it must agree with the store."""
    job: JobName | None = None
    """Job that makes the file, by its id, or `#N` within a batch; needs `output`."""
    output: ShortText | None = None
    """Name of the file among the results of `job`."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        """Give an awaited file a digest of its own, until its content is known."""
        if not isinstance(value, Mapping) or value.get("digest"):
            return value
        job, output = value.get("job"), value.get("output")
        if not (isinstance(job, str) and isinstance(output, str) and output):
            return value
        return {
            **value,
            "digest": awaited_digest(job, output),
            "name": value.get("name") or output,
        }

    @model_validator(mode="after")
    def _is_complete(self) -> ArtifactRef:
        if (self.job is None) != (self.output is None):
            missing = "job" if self.job is None else "output"
            raise ValueError(
                f"{missing}: expected one beside {'output' if self.job is None else 'job'}, "
                "got none"
            )
        if not self.digest:
            raise ValueError("digest: expected one, or `job` and `output`, got none")
        return self

    @model_serializer(mode="wrap")
    def _without_blanks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Clients of before `job` refuse fields that they do not know.
        fields: dict[str, Any] = handler(self)
        return {
            name: value
            for name, value in fields.items()
            if name not in ("job", "output") or value is not None
        }

    @property
    def is_awaited(self) -> bool:
        """True while the file is still to be made by `job`."""
        return (
            self.job is not None
            and self.output is not None
            and self.digest == awaited_digest(self.job, self.output)
        )


def awaited_digest(job: str, output: str) -> str:
    """Return the digest that stands for a file until it is made: that of job and name."""
    return "sha256:" + hashlib.sha256(f"{job}/{output}".encode()).hexdigest()


def awaited_files(value: Any) -> dict[tuple[str | int, ...], ArtifactRef]:
    """Return the awaited files within a spec, by their places in its JSON."""
    if isinstance(value, ArtifactRef):
        return {(): value} if value.is_awaited else {}
    parts: Iterable[tuple[str | int, Any]]
    if isinstance(value, BaseModel):
        parts = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    else:
        return {}
    return {
        (name, *path): reference
        for name, part in parts
        for path, reference in awaited_files(part).items()
    }


class Budget(WireModel):
    """Limits of a run. The first one reached ends it, and the result names it."""

    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 60.0
    """Wall-clock seconds for parse, search and verification together."""
    evaluations: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """Cost-model or sub-problem evaluations, as the kind defines them."""
    target_gap: Annotated[float, Field(ge=0, le=1)] | None = None
    """End when the relative gap |objective - bound| / max(|objective|, |bound|) is at most this."""


class Webhook(WireModel):
    """URL that the job's terminal state is POSTed to, signed; see 'Webhooks' in the guide."""

    url: Annotated[
        str,
        Field(max_length=2000, pattern=r"^https?://[^\s]+$"),
        AfterValidator(_storable),
    ]
    """HTTP or HTTPS address that receives the POST."""


@dataclass(frozen=True, kw_only=True)
class FileInput:
    """The file that a kind takes by its name: `client.submit_file`, `trimtab submit FILE`."""

    field: str
    """Field of the spec that refers to the file."""
    suffixes: tuple[str, ...]
    """Endings of file names, lower case, that choose this kind; no two kinds share one. Empty: a
    file is this kind's only where the kind is named."""
    fallback: bool = False
    """This kind also takes a file whose name no kind knows. At most one kind does."""


class Spec(WireModel):
    """Base of the kinds' specs. A published spec gains optional fields only; else a new version."""

    KIND: ClassVar[str]
    """The word on the wire, e.g. `ilp`."""
    SUMMARY: ClassVar[str] = ""
    """One line for people, on the submit page and in `trimtab kinds`."""
    EXAMPLE: ClassVar[Mapping[str, Any] | None] = None
    """A complete request of this kind, on the submit page and in `GET /v1/kinds`."""
    FILES: ClassVar[FileInput | None] = None
    """The file this kind takes by its name. None: a job of this kind needs a spec."""
    BASIC: ClassVar[tuple[str, ...]] = ()
    """Fields that most users set, in the order of forms; forms fold the others. Empty: all."""
    OUTPUTS: ClassVar[tuple[str, ...]] = ()
    """Names of the files that a run may leave; another job can read them: `ArtifactRef.job`."""
    LIMITS: ClassVar[tuple[str, ...]] = ("evaluations", "target_gap")
    """Limits of the budget beside `seconds` that this kind observes; any other is refused."""
    MODELS: ClassVar[bool] = False
    """Jobs of this kind can use models that a job of kind `learn` fitted."""
    UNIT: ClassVar[str] = ""
    """Unit of the objective where it is the same for every spec; see `unit_of`."""
    schema_version: Literal[1] = 1
    """Version of the kind's spec."""

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the files that the run needs, by input name; the worker has `inputs[name]`."""
        return {}

    def variables(self) -> Variables | None:
        """Return the user's own variables, for a spec that was made from a model object."""
        return None

    @classmethod
    def unit_of(cls, spec: Mapping[str, Any]) -> str:
        """Return the unit of a stored spec's objective, e.g. `bytes`, `ms`; empty for none."""
        return cls.UNIT


class JobRequest(WireModel):
    """The envelope of a job; `request_model` gives its type for one kind."""

    kind: str
    """Kind of the job, which decides the fields of `spec`."""
    spec: Any
    """Problem and options of the kind, see the page of that kind."""
    budget: Budget = Field(default_factory=Budget)
    """Limits of the run."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Seed of every random choice of the run."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Higher runs first; equal priorities run in order of arrival."""
    labels: Annotated[dict[LabelKey, ShortText], Field(max_length=MAX_LABELS)] = Field(
        default_factory=dict
    )
    """Names and values of your own, to filter lists of jobs; at most 32."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Limit of attempts, counting those lost with a worker."""
    webhook: Webhook | None = None
    """Address to call when the job has ended. None: no call."""
    name: DisplayName = ""
    """Name for people, at most 120 characters on one line; it need not be unique and can be
    changed later."""
    after: Annotated[
        tuple[Annotated[After, BeforeValidator(_id_alone)], ...],
        Field(max_length=MAX_AFTER, strict=False),
    ] = ()
    """Jobs that must end before this one runs; an id alone stands for `{"job": id}`."""
    model: Annotated[str, Field(pattern=rf"^(auto|shipped|{MODEL_ID_PATTERN})$")] = (
        MODEL_AUTO
    )
    """Fitted model to use: an id of `GET /v1/fitted-models`; `shipped` for none; `auto` for the
    newest adopted one whose scope covers the job's input, else the shipped one. The result says
    which was used and why."""

    @model_serializer(mode="wrap")
    def _without_blanks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Servers of before `after`, `model` and `name` refuse these fields, and their idempotency
        # keys are of requests without them.
        fields: dict[str, Any] = handler(self)
        blank = {"after": (), "model": MODEL_AUTO, "name": ""}
        return {
            name: value
            for name, value in fields.items()
            if name not in blank or (value and value != blank[name])
        }


class JobChanges(WireModel):
    """Changes of a stored job. A field that is left out stays as it is."""

    name: DisplayName | None = None
    """New name; empty: none."""
    labels: Annotated[dict[LabelKey, ShortText], Field(max_length=MAX_LABELS)] | None = (
        None
    )
    """New labels, all of them."""


def check_limits(spec: type[Spec], budget: Budget) -> None:
    """Raise ValueError for a limit that this kind does not observe."""
    for name in ("evaluations", "target_gap"):
        if name not in spec.LIMITS and (value := getattr(budget, name)) is not None:
            limits = ", ".join(["seconds", *spec.LIMITS])
            raise ValueError(
                f"budget.{name}: expected none, because a run of kind {spec.KIND} cannot end by "
                f"it, got {value:g}; limits of this kind: {limits}"
            )


def check_model(spec: type[Spec], model: str) -> None:
    """Raise ValueError for a fitted model of a kind that uses none."""
    if model not in (MODEL_AUTO, MODEL_SHIPPED) and not spec.MODELS:
        raise ValueError(
            f"model: expected {MODEL_AUTO} or {MODEL_SHIPPED}, because jobs of kind {spec.KIND} "
            f"use no fitted model, got {model}; leave it out"
        )


@functools.cache
def request_model(spec: type[Spec]) -> type[JobRequest]:
    """Return the envelope of one kind: `kind` is a constant, `spec` has that kind's model."""

    def limited(request: JobRequest) -> JobRequest:
        check_limits(spec, request.budget)
        check_model(spec, request.model)
        return request

    name = spec.__name__.removesuffix("Spec") + "JobRequest"
    return create_model(
        name,
        __base__=JobRequest,
        __doc__=f"A job of kind `{spec.KIND}`. {spec.SUMMARY}",
        kind=(Literal[spec.KIND], ...),  # type: ignore[arg-type]
        spec=(spec, ...),
        __validators__={"limited": cast("Any", model_validator(mode="after")(limited))},
    )
