"""The plans of the hot queries, as the application's role: an index for each, at any size.

One dataset stands among others of its size, with statistics as after a while of use.
"""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from django.utils import timezone

from apps.annotation import distribution, queues, slots, storing, turns
from apps.annotation.models import Lease
from apps.core import prepared
from apps.core.ids import uuid7
from apps.core.tenancy import current, enter
from apps.datasets.models import Dataset
from apps.events import log
from apps.organizations.models import Membership
from apps.records.models import Record, RecordTask
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_member, make_organization, make_records

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)

Plan = dict[str, Any]


def explain(statement: str, facts: dict[str, Any], *, alias: str = "default") -> Plan:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", facts)
        (answer,) = cursor.fetchone()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    found: Plan = plan[0]["Plan"]
    return found


TYPES = {"n": "int", "now": "timestamptz", "expires": "timestamptz"}


def explain_kept(statement: str) -> Plan:
    """The plan that PostgreSQL keeps for a prepared statement: made without the values."""
    text, names = prepared._numbered(statement)
    typed = re.sub(
        r"\$(\d+)", lambda n: f"{n[0]}::{TYPES.get(names[int(n[1]) - 1], 'uuid')}", text.decode()
    )
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {typed}")
        (answer,) = cursor.fetchone()
    found: Plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return found


def nodes(plan: Plan) -> list[Plan]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def indexes(plan: Plan) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def scanned(plan: Plan) -> set[str]:
    """Tables that are read from end to end."""
    return {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"}


def sorted_rows(plan: Plan) -> list[int]:
    return [node["Plan Rows"] for node in nodes(plan) if "Sort" in node["Node Type"]]


class Scene:
    """Three datasets of 3,000 records, two of them half answered; leases in all."""

    def __init__(self) -> None:
        self.organization_id = make_organization().id
        with enter(self.organization_id):
            self.member: Membership = make_member()
            datasets = [make_dataset() for _ in range(3)]
            for dataset in datasets:
                for _ in range(6):
                    make_records(dataset, 500)
                self.answer_half(dataset)
            self.dataset: Dataset = datasets[1]
            for _ in range(40):
                for dataset in datasets:
                    distribution.claim(dataset=dataset, annotator=make_member(), limit=10)
        for table in ("record", "record_task", "lease", "response", "annotator"):
            with connections["owner"].cursor() as cursor:
                cursor.execute(f"ANALYZE {table}")
        with enter(self.organization_id):
            ids = Record.objects.filter(dataset=self.dataset).in_order()
            self.middle: UUID = ids.values_list("id", flat=True)[1700]

    def answer_half(self, dataset: Dataset) -> None:
        """By the plainest means: no service is under test here."""
        half = Record.objects.filter(dataset=dataset).in_order().values_list("id", flat=True)[1500]
        RecordTask.objects.filter(dataset=dataset, record__lt=half).update(open_slots=0)
        Record.objects.filter(dataset=dataset, id__lt=half).update(status="completed")
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO response (organization_id, id, record_id, user_id, dataset_id, status,"
                " values, inserted_at, updated_at) SELECT organization_id, uuidv7(), id,"
                " %s, dataset_id, 'submitted', '{\"a\": 1}', now(), now() FROM record"
                " WHERE dataset_id = %s AND id < %s",
                [self.member.id, dataset.id, half],
            )

    def facts(self, **more: Any) -> dict[str, Any]:
        return {
            "o": current(),
            "d": self.dataset.id,
            "u": self.member.id,
            "n": 1,
            "now": timezone.now(),
            "expires": timezone.now(),
            "cursor": self.middle,
            "r": self.middle,
            "ids": [self.middle],
            "answered": True,
            **more,
        }


def sql_of(queryset: Any) -> tuple[str, dict[str, Any]]:
    statement, parameters = queryset.query.sql_with_params()
    names = {f"p{number}": value for number, value in enumerate(parameters)}
    return statement % tuple(f"%({name})s" for name in names), names


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_every_hot_query_has_its_index(scene: Scene, subtests: pytest.Subtests) -> None:
    with enter(scene.organization_id):
        claims(scene, subtests)
        feeds(scene, subtests)
        leases(scene, subtests)
        locks(scene, subtests)
    sweep(subtests)


def claims(scene: Scene, subtests: pytest.Subtests) -> None:
    for name, index in (
        ("after_cursor", "record_task_open"),
        ("from_start", "record_task_open"),
        ("least_certain", "record_task_uncertain"),
    ):
        one = queues.CLAIMS_OF_ONE[name]
        plans = {
            "for these values": explain(queues.CLAIMS[name], scene.facts()),
            "for one record": explain(one, scene.facts()),
            "kept, for one record": explain_kept(one),
        }
        for kind, plan in plans.items():
            with subtests.test(claim=name, plan=kind):
                assert index in indexes(plan)
                assert scanned(plan) == set()
                # What is picked comes in order: sorting means a look at every open record.
                assert all(rows <= 1 for rows in sorted_rows(plan))
                # One's own answers are probed one by one, never gathered up.
                gathered = [n for n in nodes(plan) if "Hash" in n["Node Type"]]
                assert not [n for n in gathered if n["Plan Rows"] > 100]
    with subtests.test(claim="the cursor is a bound of the index"):
        plan = explain(queues.CLAIMS["after_cursor"], scene.facts())
        (node,) = [n for n in nodes(plan) if n.get("Index Name") == "record_task_open"]
        assert "record_id >" in node["Index Cond"]


def feeds(scene: Scene, subtests: pytest.Subtests) -> None:
    feed = Record.objects.filter(dataset=scene.dataset).in_order()
    pages: dict[str, tuple[Any, str]] = {
        "first": (feed[:50], "record_feed"),
        "next": (feed.filter(id__gt=scene.middle)[:50], "record_feed"),
        "pending": (feed.filter(status="pending")[:50], "record_feed_status"),
        "next pending": (
            feed.filter(status="pending", id__gt=scene.middle)[:50],
            "record_feed_status",
        ),
    }
    for name, (page, index) in pages.items():
        with subtests.test(feed=name):
            plan = explain(*sql_of(page))
            assert indexes(plan) == {index}
            assert sorted_rows(plan) == []


def leases(scene: Scene, subtests: pytest.Subtests) -> None:
    held = queues.renewal(None)
    with subtests.test(lease="held by one person"):
        assert "lease_holder" in indexes(explain(held, scene.facts()))
        assert scanned(explain(held, scene.facts())) == set()
    mine = Lease.objects.filter(record_id=scene.middle, user=scene.member)
    with subtests.test(lease="of one record"):
        assert indexes(explain(*sql_of(mine))) == {"lease_pkey"}
    expired = Lease.objects.filter(expires_at__lte=timezone.now() - timedelta(hours=1))
    with subtests.test(lease="run out"):
        assert indexes(explain(*sql_of(expired))) == {"lease_expiry"}


def locks(scene: Scene, subtests: pytest.Subtests) -> None:
    statements: dict[str, tuple[str, set[str]]] = {
        "answer": (slots._LOCK_ANSWER_ONLY, {"record_pkey", "record_task_pkey", "annotator_pkey"}),
        "place": (turns._LOCK_PLACE, {"annotator_pkey"}),
        "recount": (slots._RECOUNT, {"record_task_pkey", "response_unique_per_annotator"}),
        "store": (storing._STORE, {"record_task_pkey", "response_unique_per_annotator"}),
    }
    answer = {
        "id": uuid7(),
        "record": scene.middle,
        "user": scene.member.id,
        "key": None,
        "status": "submitted",
        "values": "{}",
        "must_be_new": True,
        "version": 1,
        "tell": True,
        "day": timezone.now().date(),
        "event": uuid7(),
        "completion": uuid7(),
        "payload": "{}",
        "told": "{}",
        **log.origin_facts(),
    }
    for name, (statement, wanted) in statements.items():
        with subtests.test(lock=name):
            plan = explain(statement, scene.facts(**answer))
            assert wanted <= indexes(plan)
            small = {"dataset", "dataset_counter", "event_subscription"}
            assert scanned(plan) <= small, "but for tables of one page"


def sweep(subtests: pytest.Subtests) -> None:
    """Across organizations, by the operator: only what ran out is touched."""
    with subtests.test(sweep="operator"):
        plan = explain(
            "SELECT DISTINCT organization_id FROM lease WHERE expires_at <= %(t)s",
            {"t": timezone.now() - timedelta(hours=1)},
            alias="operator",
        )
        assert indexes(plan) == {"lease_expiry"}


def test_a_plan_without_its_index_is_seen(scene: Scene) -> None:
    with enter(scene.organization_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        plan = explain(queues.CLAIMS["from_start"], scene.facts())
    assert scanned(plan) != set()
    assert any(rows > 1 for rows in sorted_rows(plan))
