"""Requests made up from the description: every answer is described, and none is a 500."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.api.conftest import Scene
from tests.api.described import strict

PEOPLE = ("owner", "admin_in", "reviewer_in", "annotator_in", "annotator_out", "stranger", "nobody")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# What the scene has for a path's argument, where its name is another.
NAMES = {
    "dataset_id": ("ready", "draft"),
    "question_id": ("question", "sentiment"),
    "metadata_property_id": ("property",),
    "vector_settings_id": ("vector",),
    "api_key_id": ("own_key",),
}
SCHEMA = schemathesis.openapi.from_dict(strict())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


@pytest.fixture
def application() -> Iterator[WSGIHandler]:
    """The application as a server runs it, within the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield WSGIHandler()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_described(scene: Scene, application: WSGIHandler, label: str) -> None:
    operation = OPERATIONS[label]
    right = operation.as_strategy(GenerationMode.POSITIVE)
    wrong = operation.as_strategy(GenerationMode.NEGATIVE)

    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong, who=st.sampled_from(PEOPLE), number=st.integers(0, 3))
    def ask(case: Any, who: str, number: int) -> None:
        if number:  # mostly real objects
            for name in case.path_parameters or {}:
                keys = NAMES.get(name, (name.removesuffix("_id"),))
                id = scene.ids.get(keys[number % len(keys)], case.path_parameters[name])
                case.path_parameters[name] = str(id)
        headers = {"X-Argilla-Api-Key": scene.cast.keys[who]} if who != "nobody" else {}
        with transaction.atomic():
            answer = case.call(app=application, headers=headers)
            transaction.set_rollback(True)
        case.validate_response(answer, checks=CHECKS)

    ask()
