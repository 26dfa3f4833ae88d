"""The kinds that tests run."""

import pytest

from tests.jobs.kinds import offer_all
from tests.jobs.streams import offer_streams


@pytest.fixture(autouse=True, scope="session")
def _kinds() -> None:
    offer_all()
    offer_streams()
