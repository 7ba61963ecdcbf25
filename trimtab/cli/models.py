"""Commands on fitted models: list, get, card, retire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.terminal import AsJson, out, say
from trimtab.cli.terminal import client as connect
from trimtab.results import FittedModelView

app = typer.Typer(
    no_args_is_help=True, help="Models that jobs of kind learn fitted to your own data."
)
ModelId = Annotated[str, typer.Argument(help="Id of a fitted model.")]


@app.command("list")
def list_models(
    target: Annotated[
        str | None, typer.Option(help="Kind of job that they are for.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="adopted, rejected, retired; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List fitted models, newest first."""
    with connect() as client:
        models = client.fitted_models(target=target, states=state or ())
    if as_json:
        out([model.model_dump(mode="json") for model in models])
        return
    for model in models:
        created = f"{model.created_at:%Y-%m-%d %H:%M}"
        print(f"{model.id}  {model.target:<8}  {model.state:<8}  {created}")
    if not models:
        say("no fitted model; fit one: submit a job of kind learn")


@app.command()
def get(model_id: ModelId, as_json: AsJson = False) -> None:
    """Show a fitted model and the reasons of its card."""
    with connect() as client:
        _show(client.fitted_model(model_id), as_json)


@app.command()
def card(
    model_id: ModelId,
    picture: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the card as SVG too.")
    ] = None,
) -> None:
    """Print the card of a fitted model as JSON."""
    with connect() as client:
        print(json.dumps(client.model_card(model_id).model_dump(mode="json"), indent=2))
        if picture is not None:
            picture.write_text(client.model_picture(model_id))
            say(f"wrote {picture}")


@app.command()
def retire(model_id: ModelId, as_json: AsJson = False) -> None:
    """Withdraw a fitted model: no job that begins from now on uses it."""
    with connect() as client:
        _show(client.retire_model(model_id), as_json)


def _show(model: FittedModelView, as_json: bool) -> None:
    if as_json:
        out(model.model_dump(mode="json"))
        return
    print(f"{model.id}  {model.target}  {model.state}  by {model.job}")
    for reason in model.reasons:
        print(f"  {reason}")
