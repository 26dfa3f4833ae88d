"""Decisions of reviewers go out with the records and come back."""

import csv
import io
import json
from typing import Any

import pytest
from django.utils import timezone

from apps.organizations.models import Membership
from apps.quality.decisions import Ruling, decide
from apps.quality.models import Adjudication, Feedback
from apps.records.models import Record
from tests.exchange.conftest import export_bytes, export_lines, import_bytes, import_lines

RULING = Ruling(
    {
        "sentiment": {"value": "mixed"},
        "genre": {"value": ["comedy", "drama"]},
        "quality": {"value": 3},
        "order": {"value": [{"value": name, "rank": 1} for name in "abc"]},
        "entities": {"value": []},
    },
    ["comment"],
    "Würde es wieder sehen.\n“Mixed” 🎩",
)


@pytest.fixture
def decided(dataset: Any, make_member: Any) -> Record:
    import_lines(dataset, *({"id": name, "fields": {"text": name}} for name in ("a", "b")))
    record = Record.objects.select_related("dataset").get(external_id="a")
    reviewer = make_member(role="reviewer", username="rita")
    decide(record=record, reviewer=reviewer, ruling=RULING)
    return record


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_decision_survives_the_file(decided: Record, make_rich_dataset: Any, format: str) -> None:
    file = export_bytes(decided.dataset, format)
    copy = make_rich_dataset()
    result = import_bytes(copy, file, format)
    assert (result.counts, result.reasons) == ((2, 2, 0, 0), {})
    assert export_bytes(copy, format) == file
    mine, theirs = Adjudication.objects.order_by("record_id")
    for name in ("values", "ambiguous", "note", "reviewer_id", "decided_at"):
        assert getattr(mine, name) == getattr(theirs, name), name
    assert theirs.record.dataset_id == copy.id
    assert not Feedback.objects.filter(dataset=copy).exists()
    assert import_bytes(copy, file, format).counts == (2, 0, 2, 0)
    assert Adjudication.objects.count() == 2


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_file_tells_what_no_person_decided(
    decided: Record, make_rich_dataset: Any, format: str
) -> None:
    accepted = {"sentiment": "0198a1b2-0000-7000-8000-000000000000"}
    Adjudication.objects.update(reviewer=None, accepted=accepted)
    copy = make_rich_dataset()
    import_bytes(copy, export_bytes(decided.dataset, format), format)
    assert Adjudication.objects.get(dataset=copy).accepted == accepted
    assert not Adjudication.objects.by_people("sentiment").exists()


def test_what_the_files_say(decided: Record) -> None:
    first, second = export_lines(decided.dataset)
    assert first["adjudication"].pop("decided_at") <= timezone.now().isoformat()
    assert first["adjudication"] == {
        "reviewer": "rita",
        "values": RULING.values,
        "ambiguous": ["comment"],
        "note": RULING.note,
    }
    assert "adjudication" not in second
    rows = list(csv.DictReader(io.StringIO(export_bytes(decided.dataset, "csv").decode())))
    assert rows[0]["adjudication:sentiment"] == "mixed"
    assert rows[0]["adjudication.ambiguous"] == '["comment"]'
    assert rows[1]["adjudication:sentiment"] == rows[1]["adjudication.reviewer"] == ""
    Adjudication.objects.all().delete()
    assert b"adjudication" not in export_bytes(decided.dataset, "csv")


def test_a_reviewer_who_left_is_nobody(decided: Record) -> None:
    Membership.objects.filter(username="rita").delete()
    (line, _) = export_lines(decided.dataset)
    assert line["adjudication"]["reviewer"] is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "adjudication must be an object with values"),
        ({"values": []}, "at least one question"),
        ({"values": [1]}, "adjudication must be an object with values"),
        ({"values": {"gone": 1}}, "no question 'gone'"),
        ({"values": {"sentiment": "happy"}}, "is not a valid label"),
        ({"values": {"quality": 3}, "ambiguous": "comment"}, "must be a list"),
        ({"ambiguous": ["gone"]}, "non configured question"),
        ({"values": {"quality": 3}, "note": 1}, "note must be a text"),
        ({"values": {"quality": 3}, "reviewer": "nobody"}, "nobody has the username"),
        ({"values": {"quality": 3}, "decided_at": "soon"}, "is not a time"),
    ],
)
def test_a_wrong_decision_is_a_rejected_row(dataset: Any, given: Any, reason: str) -> None:
    good = {"id": "good", "fields": {"text": "x"}}
    bad = {"id": "bad", "fields": {"text": "y"}, "adjudication": given}
    result = import_lines(dataset, good, bad)
    assert result.counts == (2, 1, 0, 1)
    assert reason in result.reasons[2]
    assert list(Record.objects.values_list("external_id", flat=True)) == ["good"]


def test_columns_by_hand(dataset: Any) -> None:
    file = "id,field:text,adjudication:quality,adjudication.ambiguous\r\n"
    file += '1,x,4,"[""comment""]"\r\n2,y,,\r\n3,z,,{\r\n4,w,,"[""comment""]"\r\n'
    result = import_bytes(dataset, file.encode(), "csv")
    assert result.counts == (4, 3, 0, 1)
    kept = {one.record.external_id: one for one in Adjudication.objects.all()}
    assert kept["1"].values == {"quality": {"value": 4}}
    assert set(kept) == {"1", "4"}
    assert json.dumps(kept["4"].ambiguous) == '["comment"]'
