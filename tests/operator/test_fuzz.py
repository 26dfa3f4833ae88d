"""The walk against a running server: it finds what leaks, and nothing leaks."""

import json
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from apps.operator.fuzzing import Walk, routes, table_of
from apps.operator.planting import plant, uproot
from apps.organizations.models import Organization
from tests.operator.conftest import EVERYWHERE

pytestmark = EVERYWHERE

PARTS = 16  # of the walk, for as many cores


def walk(url: str, only: str) -> dict[str, Any]:
    told = StringIO()
    try:
        call_command("fuzz_tenants", url=url, json=True, only=only, stdout=told)
    except SystemExit as end:
        assert end.code == 1  # noqa: PT017
    report: dict[str, Any] = json.loads(told.getvalue())
    return report


@pytest.mark.urls("tests.operator.leaky_urls")
def test_it_finds_each_kind_of_leak(live_server: Any) -> None:
    report = walk(live_server.url, "leak/")
    found = Counter((leak["path"].split("/")[2][:6], leak["why"]) for leak in report["leaks"])
    kinds = {(where if where in {"names", "broken"} else "id", why) for where, why in found}
    assert kinds == {
        ("id", "a success with an id of theirs"),
        ("names", "a text of theirs"),
        ("broken", "the server failed"),
    }
    assert report["checks"] >= len(report["leaks"]) > 20
    assert {leak["role"] for leak in report["leaks"]} == {
        *("stranger", "annotator", "reviewer", "admin", "owner")
    }


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_leaks(live_server: Any, part: int) -> None:
    """Every address there is, by every role and a stranger, with our ids and with theirs."""
    found = routes()[part::PARTS]
    ours, theirs = plant("Ours"), plant("Theirs", fill=True)
    try:
        report = Walk(live_server.url, ours, theirs, found).run()
    finally:
        uproot(ours)
        uproot(theirs)
    assert report.leaks == []
    assert report.checks > 25 * len(found) > 400


def test_it_leaves_nothing_behind() -> None:
    planted = plant("Ours", fill=True)
    assert len(planted.ids) > 15
    uproot(planted)
    from apps.core.tenancy import enter

    with enter(planted.organization_id):
        assert not Organization.objects.exists()


def test_it_walks_with_real_ids() -> None:
    names = {name for route in routes() for name in route.ids}
    known = {name for name in names if table_of(name)}
    assert {"dataset_id", "record_id", "workspace_id", "user_id", "job_id"} <= known
    assert len(routes()) > 200
