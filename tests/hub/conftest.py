"""A Hub of our own, to which both packages and our code speak."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.server import Hub, serve


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> Iterator[Hub]:
    """A server that plays the Hub; nothing is cached from one test to the next."""
    import datasets
    import huggingface_hub
    from huggingface_hub import constants

    with serve() as hub:
        settings.HF_ENDPOINT = hub.url
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        monkeypatch.setattr(
            datasets.config,
            "HUB_DATASETS_URL",
            f"{hub.url}/datasets/{{repo_id}}/resolve/{{revision}}/{{path}}",
        )
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
        huggingface_hub.HfFileSystem.clear_instance_cache()
        yield hub


def parquet(rows: dict[str, list[Any]], features: Any = None) -> bytes:
    """A Parquet file as ``datasets`` writes it."""
    import datasets

    target = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(target)
    return target.getvalue()
