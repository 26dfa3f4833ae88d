"""A receiver that requests may go to."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.webhooks.receiver import Receiver, serving


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with serving(Receiver()) as server:
        settings.OUTBOUND_ALLOW = [("127.0.0.1", server.port)]
        yield server
