"""The kinds that tests run."""

import pytest

from tests.jobs.kinds import offer_all


@pytest.fixture(autouse=True, scope="session")
def _kinds() -> None:
    offer_all()
