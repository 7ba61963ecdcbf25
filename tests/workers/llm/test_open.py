"""Models by name, and the contract of the adapters over files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.text_model import ModelUnavailable, TextModel
from tests.contracts.text_model import TextModelContract
from tests.workers.llm import model_files

pytest.importorskip("xgrammar", reason="`make setup-llm` installs it")

from workers.llm import weights
from workers.llm.open import open_model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextModel]:
    folder = tmp_path_factory.mktemp("models")
    made = open_model(f"checkpoint:{model_files.checkpoint(folder / 'small')}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def smollm() -> Iterator[TextModel]:
    try:
        weights.embedded()
    except ModelUnavailable as error:
        pytest.skip(str(error))
    made = open_model("embedded")
    yield made
    made.close()


class TestCheckpoint(TextModelContract):
    @pytest.fixture
    def model(self, small: TextModel) -> TextModel:
        return small

    def test_name(self, model: TextModel) -> None:
        assert model.capabilities.name == "small"
        assert model.capabilities.local


class TestEmbedded(TextModelContract):
    @pytest.fixture
    def model(self, smollm: TextModel) -> TextModel:
        return smollm

    def test_it_knows_a_capital(self, model: TextModel) -> None:
        # Log-probabilities of names after a sentence, the one sign of life that is not chance.
        names = [" Paris", " Berlin", " Rome", " Madrid"]
        values = model.score(
            "The capital of Italy is Rome. The capital of France is", names
        )
        assert values.index(max(values)) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "expected none, embedded, checkpoint:/folder or openai:URL"),
        ("checkpoint:", "expected none, embedded"),
        ("gguf:/x", "expected none, embedded"),
        ("checkpoint:/nothing/there", "nothing there"),
        ("openai:ftp://host", "https://"),
        ("openai:http://example.org/v1", "https:// for a host other than this machine"),
        ("openai:https://user:secret@example.org/v1", "no user name or password"),
    ],
)
def test_names_that_are_refused(name: str, said: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        open_model(name)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_allowed_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_TEXT_ALLOWED_HOSTS", "api.example.org, localhost")
    open_model("openai:https://api.example.org/v1#name").close()
    with pytest.raises(ModelUnavailable, match="TRIMTAB_TEXT_ALLOWED_HOSTS"):
        open_model("openai:https://other.example.org/v1")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"expected config\.json"):
        open_model(f"checkpoint:{tmp_path}")
