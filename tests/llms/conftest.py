"""A provider that leads to the scripted server, and a call to make of it."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.llms.connections import ProviderConnection, connect
from apps.llms.models import Provider
from apps.llms.services import ModelInput, create_provider
from apps.organizations.models import Organization
from tests.llm_server.controls import LlmServer

PUBLIC = "https://8.8.8.8/v1"


@pytest.fixture
def make_provider(organization: Organization) -> Callable[..., Provider]:
    """A provider with a key and the models ``tiny`` and ``embedder``; ``values`` may say else."""

    def make(**values: Any) -> Provider:
        values.setdefault("name", "Local")
        values.setdefault("base_url", PUBLIC)
        values.setdefault("api_key", "sk-0123456789abcdef")
        values.setdefault("models", [ModelInput("tiny"), ModelInput("embedder", "embedding")])
        return create_provider(**values)

    return make


@pytest.fixture
def connection(make_provider: Callable[..., Provider], llm_server: LlmServer) -> ProviderConnection:
    """``tiny`` on the scripted server."""
    return connect(provider=make_provider(base_url=llm_server.url))
