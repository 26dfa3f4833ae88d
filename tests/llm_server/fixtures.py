"""Fixtures: the server's process, and a fresh one for each test."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.llms import dialects
from tests.llm_server.controls import LlmServer


@pytest.fixture(scope="session")
def llm_process() -> Iterator[LlmServer]:
    """One process for the whole run."""
    server = LlmServer()
    yield server
    server.close()


@pytest.fixture
def fresh_dialects() -> Iterator[None]:
    """Nobody knows how any model is asked, nor remembers it afterwards."""
    dialects.forget()
    yield
    dialects.forget()


@pytest.fixture
def llm_server(llm_process: LlmServer, settings: Any, fresh_dialects: None) -> LlmServer:
    """The server without settings, scripts and ledger; calls from this process may reach it."""
    llm_process.reset()
    settings.OUTBOUND_ALLOW = [*settings.OUTBOUND_ALLOW, llm_process.place]
    return llm_process
