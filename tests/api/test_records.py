"""Records over HTTP: bulk, list, get, change, delete."""

import uuid
from typing import Any

import pytest

from apps.core.tenancy import enter
from apps.datasets.models import Dataset, DatasetStatus, MetadataProperty, Question, VectorSettings
from apps.records.models import Record
from tests import factories
from tests.api.conftest import OVERHEAD, Cast

USER = str(uuid.UUID(int=1))
KEYS = [
    "id",
    "status",
    "fields",
    "metadata",
    "external_id",
    "dataset_id",
    "inserted_at",
    "updated_at",
]


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        dataset = factories.make_dataset(
            cast.workspace, questions=["sentiment", "genre", "order", "entities"]
        )
        MetadataProperty.objects.create(
            dataset=dataset,
            number=1,
            name="secret",
            title="Secret",
            settings={"type": "terms"},
            visible_for_annotators=False,
        )
        VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=2)
        return dataset


def question_id(cast: Cast, dataset: Dataset, name: str) -> str:
    with cast.inside():
        return str(Question.objects.get(dataset=dataset, name=name).id)


def put(cast: Cast, dataset: Dataset, *items: Any, who: str = "owner") -> Any:
    return cast[who].put(f"/datasets/{dataset.id}/records/bulk", {"items": list(items)})


def test_bulk_upsert_answers_with_everything_in_input_order(cast, dataset):
    sentiment = question_id(cast, dataset, "sentiment")
    user = str(cast.id("annotator_in"))
    answer = put(
        cast,
        dataset,
        {"fields": {"text": "b"}, "external_id": 7, "vectors": {"v": [1, 0.5]}, "junk": 1},
        {
            "fields": {"text": "a"},
            "metadata": {"secret": "x", "extra": [1, None]},
            "suggestions": [{"question_id": sentiment, "value": "mixed", "score": 0.5}],
            "responses": [
                {"user_id": user, "status": "draft", "values": {"sentiment": {"value": "mixed"}}}
            ],
        },
    )
    assert answer.status_code == 200
    first, second = answer.json()["items"]
    assert list(first) == [*KEYS, "responses", "suggestions", "vectors"]
    assert first["external_id"] == "7"
    assert first["vectors"] == {"v": [1.0, 0.5]}
    assert first["metadata"] is None
    assert second["external_id"] == second["id"]
    assert second["vectors"] == {}
    assert second["responses"][0]["values"] == {"sentiment": {"value": "mixed"}}
    assert second["suggestions"][0]["value"] == "mixed"
    assert set(second["suggestions"][0]) == {
        "id", "question_id", "type", "value", "agent", "score", "inserted_at", "updated_at",
    }  # fmt: skip
    assert "T" in first["inserted_at"]
    assert len(first["inserted_at"].split(".")[1]) == 6
    assert answer.json()["updated_item_ids"] == []
    stored = cast["owner"].get(f"/records/{second['id']}").json()
    assert stored == second


def test_a_second_log_updates_and_says_so(cast, dataset):
    (first,) = put(cast, dataset, {"fields": {"text": "a"}, "external_id": "x"}).json()["items"]
    answer = put(cast, dataset, {"fields": {"text": "b"}, "external_id": "x"}).json()
    assert answer["updated_item_ids"] == [first["id"]]
    assert answer["items"][0]["fields"] == {"text": "b"}
    assert answer["items"][0]["inserted_at"] == first["inserted_at"]


def test_a_known_id_may_come_without_fields_and_an_unknown_id_is_not_used(cast, dataset):
    (first,) = put(cast, dataset, {"fields": {"text": "a"}, "external_id": "x"}).json()["items"]
    kept = put(cast, dataset, {"id": first["id"], "fields": None}).json()["items"][0]
    assert kept["fields"] == {"text": "a"}
    assert kept["external_id"] == "x"
    unknown = str(uuid.uuid4())
    made = put(cast, dataset, {"id": unknown, "fields": {"text": "c"}}).json()["items"][0]
    assert made["id"] != unknown


@pytest.mark.parametrize("id", [123456789012345678901234567890, -1e30, 2.0**53 + 2])
def test_a_number_that_lost_digits_is_no_external_id(cast, dataset, id):
    answer = put(cast, dataset, {"fields": {"text": "a"}, "external_id": id})
    assert answer.status_code == 422
    assert "an id of more than 53 bits is a text" in answer.content.decode()
    (item,) = put(cast, dataset, {"fields": {"text": "a"}, "external_id": 2**60 + 1}).json()[
        "items"
    ]
    assert item["external_id"] == str(2**60 + 1)


def test_post_refuses_known_external_ids(cast, dataset):
    body = {"items": [{"fields": {"text": "a"}, "external_id": "x"}]}
    path = f"/datasets/{dataset.id}/records/bulk"
    assert cast["owner"].post(path, body).status_code == 201
    again = cast["owner"].post(path, body)
    assert again.status_code == 422
    assert again.json() == {"detail": "found records with same external ids: x"}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"fields": {}}, "fields cannot be empty"),
        ({"fields": {"nope": "x"}}, "missing required value for field: 'text'"),
        ({"fields": {"text": 3}}, "must be a string"),
        ({"fields": {"text": "x"}, "vectors": {"v": [1]}}, "must have 2 elements, got 1"),
        ({"fields": {"text": "x"}, "metadata": {"secret": {"a": 1}}}, "single values"),
        (
            {
                "fields": {"text": "x"},
                "suggestions": [{"question_id": str(uuid.UUID(int=1)), "value": "a"}],
            },
            "does not exist",
        ),
        (
            {
                "fields": {"text": "x"},
                "responses": [{"user_id": str(uuid.UUID(int=1)), "status": "draft", "values": {}}],
            },
            "user_id=00000000-0000-0000-0000-000000000001 does not exist",
        ),
    ],
)
def test_one_bad_record_refuses_the_whole_bulk(cast, dataset, item, reason):
    answer = put(cast, dataset, {"fields": {"text": "good"}}, item)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail.startswith("Record at position 1 is not valid because")
    assert reason in detail
    assert cast["owner"].get(f"/datasets/{dataset.id}/records").json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({}, ["body", "items"], "missing"),
        ({"items": []}, ["body", "items"], "too_short"),
        ({"items": [{"fields": {"text": "x"}}] * 501}, ["body", "items"], "too_long"),
        ({"items": [{"id": "x"}]}, ["body", "items", 0, "id"], "uuid_parsing"),
        (
            {"items": [{"fields": {"text": "x"}, "vectors": {"v": ["a"]}}]},
            ["body", "items", 0, "vectors", "v", 0],
            "float_parsing",
        ),
        (
            {"items": [{"fields": {"text": "x"}, "external_id": id} for id in ("1", 1)]},
            ["body", "items"],
            "value_error",
        ),
        *(
            (
                {"items": [{"fields": {"text": "x"}, "responses": [{"user_id": USER, **given}]}]},
                ["body", "items", 0, "responses", 0, *loc],
                kind,
            )
            for given, loc, kind in (
                ({"status": "draft"}, ["draft", "values"], "missing"),
                ({"status": "submitted"}, ["submitted", "values"], "missing"),
                ({"status": "done", "values": {}}, [], "union_tag_invalid"),
            )
        ),
    ],
)
def test_a_wrong_shape_is_a_schema_error(cast, dataset, body, loc, kind):
    answer = cast["owner"].put(f"/datasets/{dataset.id}/records/bulk", body)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]["params"]["errors"]
    assert (problem["loc"], problem["type"]) == (loc, kind)
    assert set(problem) == {"type", "loc", "msg"}


BACKWARDS = [{"label": "person", "start": 1, "end": 1}]


@pytest.mark.parametrize("value", [True, 1.5, {"a": 1}, None, BACKWARDS])
def test_a_value_of_no_kind_is_a_schema_error(cast, dataset, value):
    suggestion = {"question_id": question_id(cast, dataset, "sentiment"), "value": value}
    answer = put(cast, dataset, {"fields": {"text": "x"}, "suggestions": [suggestion]})
    assert answer.status_code == 422
    assert answer.json()["detail"]["code"] == "argilla.api.errors::ValidationError"


def test_a_discarded_answer_needs_no_values(cast, dataset):
    given = [{"user_id": str(cast.id("annotator_in")), "status": "discarded"}]
    (made,) = put(cast, dataset, {"fields": {"text": "x"}, "responses": given}).json()["items"]
    assert made["responses"][0]["values"] == {}


def test_ids_to_delete_must_be_named(cast, dataset):
    with cast.inside():
        (record,) = factories.make_records(dataset, 1)
    for path in (f"/datasets/{dataset.id}/records", f"/records/{record.id}/suggestions"):
        refused = cast["owner"].delete(path)
        assert refused.status_code == 422
        (problem,) = refused.json()["detail"]["params"]["errors"]
        assert (problem["loc"], problem["type"]) == (["query", "ids"], "missing")
        refused = cast["owner"].delete(f"{path}?ids=x")
        assert (refused.status_code, type(refused.json()["detail"])) == (422, str)


def test_a_draft_dataset_takes_no_records(cast, dataset):
    with cast.inside():
        Dataset.objects.update(status=DatasetStatus.DRAFT)
    answer = put(cast, dataset, {"fields": {"text": "x"}})
    assert answer.status_code == 422
    assert "non published dataset" in answer.json()["detail"]


def test_pages_follow_insertion_and_end_with_an_empty_one(cast, dataset):
    put(cast, dataset, *({"fields": {"text": str(n)}} for n in range(7)))
    path = f"/datasets/{dataset.id}/records"
    seen = []
    while items := cast["owner"].get(f"{path}?limit=3&offset={len(seen)}").json()["items"]:
        seen += [item["fields"]["text"] for item in items]
    assert seen == [str(n) for n in range(7)]
    page = cast["owner"].get(f"{path}?limit=3").json()
    assert page["total"] == 7
    assert list(page["items"][0]) == KEYS  # relations that were not asked for are absent


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "limit=x"])
def test_a_page_out_of_bounds_is_refused(cast, dataset, query):
    answer = cast["owner"].get(f"/datasets/{dataset.id}/records?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"]["params"]["errors"][0]["loc"][0] == "query"


def test_include_is_repeatable_and_comma_joined(cast, dataset):
    put(cast, dataset, {"fields": {"text": "x"}, "vectors": {"v": [1, 2]}})
    path = f"/datasets/{dataset.id}/records"
    (item,) = cast["owner"].get(f"{path}?include=responses&include=vectors:v").json()["items"]
    assert list(item) == [*KEYS, "responses", "vectors"]
    (item,) = cast["owner"].get(f"{path}?include=suggestions,vectors").json()["items"]
    assert item["vectors"] == {"v": [1.0, 2.0]}
    (item,) = cast["owner"].get(f"{path}?include=vectors:unknown").json()["items"]
    assert item["vectors"] == {}
    for wrong in ("include=nope", "include=vectors&include=vectors:v"):
        answer = cast["owner"].get(f"{path}?{wrong}")
        assert answer.status_code == 422
        assert isinstance(answer.json()["detail"], str)


def test_a_page_costs_the_same_for_one_and_for_fifty(cast, dataset, django_assert_max_num_queries):
    sentiment = question_id(cast, dataset, "sentiment")
    items = [
        {
            "fields": {"text": str(n)},
            "vectors": {"v": [n, 1]},
            "suggestions": [{"question_id": sentiment, "value": "mixed"}],
        }
        for n in range(50)
    ]
    put(cast, dataset, *items)
    path = f"/datasets/{dataset.id}/records?include=responses,suggestions,vectors"
    with django_assert_max_num_queries(OVERHEAD + 6):
        assert len(cast["owner"].get(path).json()["items"]) == 50


def test_annotators_do_not_list_and_see_only_what_is_theirs(cast, dataset):
    both = [
        {"user_id": str(cast.id(name)), "status": "draft", "values": {}}
        for name in ("annotator_in", "admin_in")
    ]
    (item,) = put(
        cast,
        dataset,
        {"fields": {"text": "x"}, "metadata": {"secret": "s", "extra": 1}, "responses": both},
    ).json()["items"]
    assert cast["annotator_in"].get(f"/datasets/{dataset.id}/records").status_code == 403
    seen = cast["annotator_in"].get(f"/records/{item['id']}").json()
    assert [r["user_id"] for r in seen["responses"]] == [str(cast.id("annotator_in"))]
    assert seen["metadata"] == {}
    everything = cast["admin_in"].get(f"/records/{item['id']}").json()
    assert len(everything["responses"]) == 2
    assert everything["metadata"] == {"secret": "s", "extra": 1}


def test_patch_replaces_suggestions_as_a_set_and_keeps_what_is_absent(cast, dataset):
    sentiment = question_id(cast, dataset, "sentiment")
    genre = question_id(cast, dataset, "genre")
    (item,) = put(
        cast,
        dataset,
        {
            "fields": {"text": "x"},
            "metadata": {"a": 1},
            "vectors": {"v": [1, 2]},
            "suggestions": [
                {"question_id": sentiment, "value": "mixed", "score": 0.5, "agent": "m"},
                {"question_id": genre, "value": ["drama"]},
            ],
        },
    ).json()["items"]
    path = f"/records/{item['id']}"
    changed = cast["owner"].patch(
        path, {"suggestions": [{"question_id": sentiment, "value": "negative"}]}
    )
    assert changed.status_code == 200
    (suggestion,) = changed.json()["suggestions"]
    assert (suggestion["value"], suggestion["score"], suggestion["agent"]) == (
        "negative", None, None,
    )  # fmt: skip
    assert changed.json()["metadata"] == {"a": 1}
    assert changed.json()["vectors"] == {"v": [1.0, 2.0]}
    nothing = cast["owner"].patch(path, {}).json()
    assert nothing == changed.json()
    cleared = cast["owner"].patch(path, {"metadata": {}, "suggestions": []}).json()
    assert (cleared["metadata"], cleared["suggestions"]) == ({}, [])
    refused = cast["owner"].patch(path, {"fields": {"text": 4}})
    assert refused.status_code == 422
    assert cast["owner"].get(path).json()["fields"] == {"text": "x"}


def test_delete_one_answers_with_it_and_delete_many_with_nothing(cast, dataset):
    rows = put(cast, dataset, *({"fields": {"text": str(n)}} for n in range(3))).json()["items"]
    gone = cast["owner"].delete(f"/records/{rows[0]['id']}")
    assert gone.status_code == 200
    assert list(gone.json()) == KEYS
    assert cast["owner"].get(f"/records/{rows[0]['id']}").status_code == 404
    ids = ",".join([rows[1]["id"], str(uuid.uuid4())])
    many = cast["owner"].delete(f"/datasets/{dataset.id}/records?ids={ids}")
    assert (many.status_code, many.content) == (204, b"")
    assert cast["owner"].get(f"/datasets/{dataset.id}/records").json()["total"] == 1
    for wrong in ("", "x", ",".join([str(uuid.uuid4())] * 101)):
        answer = cast["owner"].delete(f"/datasets/{dataset.id}/records?ids={wrong}")
        assert answer.status_code == 422


def test_another_organizations_record_does_not_exist(cast, dataset):
    (item,) = put(cast, dataset, {"fields": {"text": "x"}, "external_id": "x"}).json()["items"]
    path = f"/records/{item['id']}"
    text = {"detail": f"Record with id `{item['id']}` not found"}
    for answer in (
        cast["stranger"].get(path),
        cast["stranger"].patch(path, {}),
        cast["stranger"].delete(path),
    ):
        assert (answer.status_code, answer.json()) == (404, text)
    assert put(cast, dataset, {"fields": {"text": "y"}}, who="stranger").status_code == 404
    with enter(cast.other.id):
        assert not Record.objects.exists()


@pytest.mark.parametrize(
    "text", ["🚀 👩‍👩‍👧", "שלום עולם", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", 'a\r\nb\tc\\d"e', "\\N", "\\."]
)
def test_any_text_comes_back_as_it_went_in(cast, dataset, text):
    (item,) = put(
        cast, dataset, {"fields": {"text": text}, "external_id": text, "metadata": {text: text}}
    ).json()["items"]
    stored = cast["owner"].get(f"/records/{item['id']}").json()
    assert (stored["fields"], stored["external_id"]) == ({"text": text}, text)
    assert stored["metadata"] == {text: text}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"items": [{"fields": {"text": "\\u0000"}}]}',
        b'{"items": [{"fields": {"text": "\\ud800"}}]}',
        b'{"items": [{"fields": {"text": "x"}, "metadata": {"a": NaN}}]}',
        b'{"items": [{"fields": {"text": "x"}, "metadata": {"a": 1e999}}]}',
        b'{"items": [{"fields": {"text": "x"}, "metadata": {"a": ' + b"[" * 1000 + b"]" * 1000,
        b'{"items": [{"fields": {"text": "' + b"x" * 10_000_000 + b'"}}]}',
        b"\xff",
        b"",
    ],
)
def test_what_cannot_be_stored_is_refused_clearly(cast, dataset, raw):
    answer = cast["owner"].put(f"/datasets/{dataset.id}/records/bulk", raw=raw)
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
