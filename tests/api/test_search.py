"""Searching through the API: words, filters, likeness, orders, and who sees what."""

from typing import Any
from uuid import uuid4

import pytest

from apps.annotation.ingest import log_records
from apps.datasets.models import Dataset, Field, MetadataProperty, Question, VectorSettings
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput
from apps.records.models import Record
from tests import factories
from tests.api.conftest import OVERHEAD, Cast

pytestmark = pytest.mark.django_db

SENTENCES = [
    ("My card payment failed at the till", "negative"),
    ("How do I take out cash with my card?", "neutral"),
    ("The card payment took three days", "negative"),
    ("A cash machine swallowed my note", "negative"),
    ("Which card payment fees are there abroad?", "neutral"),
    ("Thank you for the new app", "positive"),
    ("I sent cash in an envelope", "neutral"),
    ("Your card payment limit is fine for me", "positive"),
    ("Is a card payment protected by insurance", "neutral"),
]


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    """Nine sentences, the ids 1 to 9, each with a field that holds its sentiment."""
    with cast.inside():
        dataset = factories.make_dataset(
            cast.workspace, questions=["sentiment", "genre", "quality", "comment"], required=[]
        )
        Field.objects.create(dataset=dataset, name="mood", title="Mood", settings={"type": "text"})
        for number, (name, type) in enumerate(
            [("source", "terms"), ("words", "integer"), ("share", "float"), ("secret", "terms")], 1
        ):
            MetadataProperty.objects.create(
                dataset=dataset,
                number=number,
                name=name,
                title=name,
                settings={"type": type},
                visible_for_annotators=name != "secret",
            )
        VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=2)
        ids = {q.name: q.id for q in Question.objects.filter(dataset=dataset)}
        log_records(dataset=dataset, items=[made(cast, ids, n) for n in range(1, 10)])
    return dataset


def made(cast: Cast, questions: dict[str, Any], number: int) -> RecordInput:
    """Odd records have suggestions, every third one two responses."""
    text, mood = SENTENCES[number - 1]
    suggestions, responses = [], []
    if number % 2:
        suggestions = [
            SuggestionInput(questions["sentiment"], "mixed", number / 10, "m/1", "model"),
            SuggestionInput(questions["genre"], ["comedy", "drama"][: number % 4], None, "m/2"),
            SuggestionInput(questions["quality"], (number + 1) // 2),
        ]
    if number % 3 == 0:
        answers = [("annotator_in", "submitted", number // 3), ("owner", "draft", 5)]
        responses = [
            ResponseInput(cast.id(name), status, {"quality": {"value": rating}})
            for name, status, rating in answers
        ]
    return RecordInput(
        fields={"text": text, "mood": mood},
        external_id=str(number),
        metadata={
            "source": [["app"], ["web", "app"]][number % 2],
            "words": len(text.split()),
            "share": number / 4,
            "secret": "x",
            "extra": number,
        },
        suggestions=suggestions,
        responses=responses,
        vectors={"v": [1.0, number - 5.0]} if number != 9 else {},
    )


def ask(api: Any, dataset: Dataset, path: str = "", page: str = "", **body: Any) -> Any:
    return api.post(f"{path}/datasets/{dataset.id}/records/search{page}", body)


def found(api: Any, dataset: Dataset, path: str = "", **body: Any) -> list[str]:
    """External ids in the order of the answer, whose total must fit."""
    response = ask(api, dataset, path, **body)
    assert response.status_code == 200, response.content
    answer = response.json()
    assert all("query_score" in item for item in answer["items"])
    ids = [item["record"]["external_id"] for item in answer["items"]]
    assert answer["total"] == len(ids)
    return ids


def text(q: str, field: str | None = None) -> dict[str, Any]:
    return {"text": {"q": q, "field": field}}


def terms(*values: Any, **scope: Any) -> dict[str, Any]:
    return {"and": [{"type": "terms", "scope": scope, "values": list(values)}]}


def between(ge: Any = None, le: Any = None, **scope: Any) -> dict[str, Any]:
    return {"and": [{"type": "range", "scope": scope, "ge": ge, "le": le}]}


# --- Words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("cash", "247"),
        ("CASH", "247"),
        ("card payment", "13589"),
        ("cash | negative", "12347"),
        ("cash + negative", "4"),
        ("cash negative", "4"),
        ("-(cash | negative)", "5689"),
        ("-cash", "135689"),
        ('"payment card"', ""),
        ('"payment failed"', "1"),
        ("insur*", "9"),
        ("insur", ""),
        ("(cash | thank) -envelope", "246"),
        ("positive -card", "6"),
        ("", ""),
        ("!!!", ""),
        ("*", "123456789"),
        ("ds", ""),
    ],
)
def test_the_simple_query_string(cast: Cast, dataset: Dataset, q: str, ids: str) -> None:
    assert sorted(found(cast["owner"], dataset, query=text(q))) == list(ids)


@pytest.mark.parametrize(
    ("q", "field", "ids"),
    [
        ("cash", "text", "247"),
        ("negative", "text", ""),
        ("negative", "mood", "134"),
        ("cash + negative", "text", ""),
        ("-(cash | negative)", "text", "135689"),
        ("neg*", "mood", "134"),
    ],
)
def test_one_field(cast: Cast, dataset: Dataset, q: str, field: str, ids: str) -> None:
    assert sorted(found(cast["owner"], dataset, query=text(q, field))) == list(ids)


def test_words_are_scored_and_ordered_by_it(cast: Cast, dataset: Dataset) -> None:
    items = ask(cast["owner"], dataset, query=text("card payment | insurance")).json()["items"]
    scores = [item["query_score"] for item in items]
    assert items[0]["record"]["external_id"] == "9"
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


def test_without_a_query_there_is_no_score(cast: Cast, dataset: Dataset) -> None:
    for body in ({}, {"query": None}, {"query": {}}, {"filters": {}}, {"filters": None}):
        items = ask(cast["owner"], dataset, **body).json()["items"]
        assert [item["query_score"] for item in items] == [None] * 9
        assert [item["record"]["external_id"] for item in items] == list("123456789")


def test_a_write_is_found_at_once(cast: Cast, dataset: Dataset) -> None:
    api = cast["owner"]
    body = {"items": [{"external_id": "3", "fields": {"text": "brand new", "mood": "odd"}}]}
    assert api.put(f"/datasets/{dataset.id}/records/bulk", body).status_code == 200
    assert found(api, dataset, query=text("brand")) == ["3"]
    assert found(api, dataset, query=text("days")) == []
    with cast.inside():
        record = Record.objects.get(dataset=dataset, external_id="3")
    body = {"fields": {"text": "other words", "mood": "better"}}
    assert api.patch(f"/records/{record.id}", body).status_code == 200
    assert found(api, dataset, query=text("better", "mood")) == ["3"]
    assert found(api, dataset, query=text("better", "text")) == []
    assert found(api, dataset, query=text("brand")) == []
    assert api.delete(f"/records/{record.id}").status_code == 200
    assert found(api, dataset, query=text("other")) == []


# --- Filters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (terms("2", 3, entity="record", property="external_id"), "23"),
        (terms("pending", entity="record", property="status"), "124578"),
        (terms("completed", entity="record", property="status"), "369"),
        (terms("no uuid", entity="record", property="id"), ""),
        (between("2020-01-01", entity="record", property="inserted_at"), "123456789"),
        (between(None, "2020-01-01T00:00:00Z", entity="record", property="inserted_at"), ""),
        (  # from 22 o'clock to 23 o'clock of the same evening
            between(
                "2026-01-02T00:00:00+02:00",
                "2026-01-01T23:00:00Z",
                entity="record",
                property="inserted_at",
            ),
            "",
        ),
        (terms("web", entity="metadata", metadata_property="source"), "13579"),
        (terms("web", "app", entity="metadata", metadata_property="source"), "123456789"),
        (terms("6", 7, entity="metadata", metadata_property="words"), "1345679"),
        (between(8, 9, entity="metadata", metadata_property="words"), "28"),
        (between("8", None, entity="metadata", metadata_property="words"), "28"),
        (terms("0.5", entity="metadata", metadata_property="share"), "2"),
        (terms("word", entity="metadata", metadata_property="share"), ""),
        (terms("mixed", entity="suggestion", question="sentiment"), "13579"),
        (terms("mixed", entity="suggestion", question="sentiment", property=None), "13579"),
        (terms("drama", entity="suggestion", question="genre"), "37"),
        (terms("drama", "comedy", entity="suggestion", question="genre"), "13579"),
        (terms(1, 3, entity="suggestion", question="quality"), "15"),
        (terms("1.0", entity="suggestion", question="quality"), "1"),
        (between(2, 4, entity="suggestion", question="quality"), "357"),
        (terms("x", entity="suggestion", question="comment"), ""),
        (between(0.25, 0.75, entity="suggestion", question="sentiment", property="score"), "357"),
        (terms("m/1", entity="suggestion", question="sentiment", property="agent"), "13579"),
        (terms("m/1", entity="suggestion", question="genre", property="agent"), ""),
        (terms("model", entity="suggestion", question="sentiment", property="type"), "13579"),
        (terms("human", entity="suggestion", question="sentiment", property="type"), ""),
        (terms("1", 2, entity="response", question="quality"), "36"),
        (terms("5", entity="response", question="quality"), "369"),
        (between(None, 2, entity="response", question="quality"), "36"),
        (terms("submitted", entity="response", property="status"), "369"),
        (terms("discarded", entity="response", property="status"), ""),
        (terms("pending", entity="response", property="status"), "124578"),
        (terms("pending", "draft", entity="response", property="status"), "123456789"),
    ],
)
def test_filters(cast: Cast, dataset: Dataset, filters: dict[str, Any], ids: str) -> None:
    assert found(cast["owner"], dataset, filters=filters) == list(ids)


def test_filters_and_words_must_all_hold(cast: Cast, dataset: Dataset) -> None:
    web = terms("web", entity="metadata", metadata_property="source")["and"]
    few = between(None, 0.75, entity="metadata", metadata_property="share")["and"]
    assert found(cast["owner"], dataset, filters={"type": "and", "and": web + few}) == ["1", "3"]
    both = found(cast["owner"], dataset, query=text("failed"), filters={"and": web + few})
    assert both == ["1"]


def test_ones_own_responses_count_for_oneself(cast: Cast, dataset: Dataset) -> None:
    api = cast["annotator_in"]
    for values, question, ids in (
        (["submitted"], None, "369"),
        (["draft"], None, ""),
        (["pending"], None, "124578"),
        (["5"], "quality", ""),
        (["2"], "quality", "6"),
    ):
        scope = {"entity": "response", "question": question}
        scope |= {} if question else {"property": "status"}
        assert sorted(found(api, dataset, "/me", filters=terms(*values, **scope))) == list(ids)


# --- Orders -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "order", "ids"),
    [
        ({"entity": "record", "property": "external_id"}, "desc", "987654321"),
        ({"entity": "record", "property": "inserted_at"}, "asc", "123456789"),
        ({"entity": "metadata", "metadata_property": "share"}, "desc", "987654321"),
        ({"entity": "metadata", "metadata_property": "source"}, "desc", "135792468"),
        (
            {"entity": "suggestion", "question": "sentiment", "property": "score"},
            "desc",
            "975312468",
        ),
        (
            {"entity": "suggestion", "question": "sentiment", "property": "score"},
            "asc",
            "135792468",
        ),
        ({"entity": "suggestion", "question": "quality"}, "desc", "975312468"),
        ({"entity": "suggestion", "question": "genre"}, "asc", "135792468"),
        ({"entity": "suggestion", "question": "comment"}, "asc", "123456789"),
        ({"entity": "response", "question": "quality"}, "desc", "963124578"),
        ({"entity": "response", "question": "quality"}, "asc", "369124578"),
        ({"entity": "response", "property": "status"}, "asc", "369124578"),
    ],
)
def test_sorting(cast: Cast, dataset: Dataset, scope: Any, order: str, ids: str) -> None:
    sort = [{"scope": scope, "order": order}]
    assert found(cast["owner"], dataset, sort=sort) == list(ids)
    with_words = found(cast["owner"], dataset, sort=sort, query=text("card | cash"))
    assert with_words == [id for id in ids if id not in {"6"}]


def test_several_orders_one_after_the_other(cast: Cast, dataset: Dataset) -> None:
    sort = [
        {"scope": {"entity": "metadata", "metadata_property": "words"}, "order": "desc"},
        {"scope": {"entity": "record", "property": "external_id"}, "order": "desc"},
    ]
    ids = found(cast["owner"], dataset, sort=sort)
    lengths = [len(SENTENCES[int(id) - 1][0].split()) for id in ids]
    assert sorted(zip(lengths, map(int, ids), strict=True), reverse=True) == list(
        zip(lengths, map(int, ids), strict=True)
    )


def test_everybody_has_an_order_of_their_own_that_stays(cast: Cast, dataset: Dataset) -> None:
    mine = found(cast["annotator_in"], dataset, "/me")
    assert sorted(mine) == list("123456789")
    assert mine == found(cast["annotator_in"], dataset, "/me")
    others = [found(cast[name], dataset, "/me") for name in ("owner", "admin_in", "reviewer_in")]
    assert len({tuple(order) for order in [mine, *others]}) == 4
    share = {"entity": "metadata", "metadata_property": "share"}
    sort = [{"scope": share, "order": "asc"}]
    assert found(cast["annotator_in"], dataset, "/me", sort=sort) == list("123456789")


def test_pages_follow_one_another(cast: Cast, dataset: Dataset) -> None:
    for body in ({}, {"query": text("card | cash")}, {"filters": terms("web", "app", **SOURCE)}):
        for path in ("", "/me"):
            whole = ask(cast["owner"], dataset, path, **body).json()
            ids = [item["record"]["id"] for item in whole["items"]]
            pages = []
            for offset in range(0, 12, 2):
                page = ask(cast["owner"], dataset, path, f"?offset={offset}&limit=2", **body)
                assert page.json()["total"] == whole["total"] == len(ids)
                pages += [item["record"]["id"] for item in page.json()["items"]]
            assert pages == ids


SOURCE = {"entity": "metadata", "metadata_property": "source"}


# --- Likeness ---------------------------------------------------------------------------------


def near(**vector: Any) -> dict[str, Any]:
    return {"vector": {"name": "v", **vector}}


def test_the_nearest_come_first(cast: Cast, dataset: Dataset) -> None:
    api = cast["owner"]
    assert found(api, dataset, query=near(value=[1, 0])) == list("54637281")
    answer = ask(api, dataset, query=near(value=[1, 0])).json()["items"]
    assert answer[0]["query_score"] == pytest.approx(1)
    assert answer[1]["query_score"] == pytest.approx((1 + 2**-0.5) / 2)
    least = found(api, dataset, query=near(value=[1, 0], order="least_similar"))
    assert least[-1] == "5"


def test_a_record_is_not_similar_to_itself(cast: Cast, dataset: Dataset) -> None:
    with cast.inside():
        ids = dict(Record.objects.filter(dataset=dataset).values_list("external_id", "id"))
    query = near(record_id=str(ids["5"]))
    assert found(cast["owner"], dataset, query=query) == list("4637281")
    response = ask(cast["owner"], dataset, query=near(record_id=str(ids["9"])))
    assert response.status_code == 422
    assert response.json().keys() == {"code", "message"}
    assert response.json()["code"] == "missing_vector"


def test_words_and_filters_limit_the_likeness(cast: Cast, dataset: Dataset) -> None:
    api = cast["owner"]
    query = {**text("cash"), **near(value=[1, 0])}
    assert found(api, dataset, query=query) == list("472")
    web = terms("web", **SOURCE)
    assert found(api, dataset, query=query, filters=web) == ["7"]


def test_a_page_of_likeness(cast: Cast, dataset: Dataset) -> None:
    page = ask(cast["owner"], dataset, "", "?offset=2&limit=3", query=near(value=[1, 0])).json()
    assert [item["record"]["external_id"] for item in page["items"]] == list("637")
    assert page["total"] == 5
    beyond = ask(cast["owner"], dataset, "", "?offset=1000", query=near(value=[1, 0])).json()
    assert beyond == {"items": [], "total": 0}


def test_hybrid_fuses_both_rankings(cast: Cast, dataset: Dataset) -> None:
    hybrid = {"text": "cash", "vector": {"name": "v", "value": [1, 0]}}
    ids = found(cast["owner"], dataset, query={"hybrid": hybrid})
    assert sorted(ids) == list("12345678")
    assert set(ids[:3]) == set("247"), "found by both"
    assert found(cast["owner"], dataset, query={"hybrid": {"text": "cash"}}) == found(
        cast["owner"], dataset, query=text("cash")
    )


def test_a_phrase_is_embedded(cast: Cast) -> None:
    from apps.quality.embeddings import embed

    with cast.inside():
        dataset = factories.make_dataset(cast.workspace)
        VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=256)
        texts = [sentence for sentence, _ in SENTENCES]
        items = [
            RecordInput(fields={"text": one}, external_id=str(n), vectors={"v": vector})
            for n, (one, vector) in enumerate(zip(texts, embed(texts), strict=True), 1)
        ]
        log_records(dataset=dataset, items=items)
    hybrid = {"text": "abroad", "phrase": "withdraw money"}
    ids = found(cast["owner"], dataset, query={"hybrid": hybrid})
    assert "5" in ids[:2]
    assert len(ids) == 9


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"filters": terms("x", entity="suggestion", question="nope")},
            "Question not found filtering by name=nope, dataset_id={id}",
        ),
        (
            {"filters": terms("x", entity="response", question="nope")},
            "Question not found filtering by name=nope, dataset_id={id}",
        ),
        (
            {"filters": terms("x", entity="metadata", metadata_property="extra")},
            "MetadataProperty not found filtering by name=extra, dataset_id={id}",
        ),
        (
            {"sort": [{"scope": {"entity": "metadata", "metadata_property": "nope"}}]},
            "MetadataProperty not found filtering by name=nope, dataset_id={id}",
        ),
        ({"query": text("x", "nope")}, "Field `nope` not found in dataset `{id}`."),
        (
            {"query": {"vector": {"name": "w", "value": [1]}}},
            "Vector `w` not found in dataset `{id}`.",
        ),
        (
            {"query": near(record_id="01890000-0000-7000-8000-000000000000")},
            "Record with id `01890000-0000-7000-8000-000000000000` not found in dataset `{id}`.",
        ),
        (
            {"query": near(value=[1, 2, 3])},
            "vector value for vector name=v must have 2 elements, got 3 elements",
        ),
        (
            {"filters": between("abc", entity="metadata", metadata_property="words")},
            "'abc' is not a number",
        ),
        (
            {"filters": between("NaN", entity="metadata", metadata_property="words")},
            "'NaN' is not a number",
        ),
        (
            {"filters": between("soon", entity="record", property="updated_at")},
            "'soon' is not a time in ISO 8601",
        ),
        (
            {"query": {"hybrid": {"text": "x", "phrase": "y"}}},
            "a phrase needs a dataset with one vector of 256 dimensions, found 0",
        ),
    ],
)
def test_names_and_bounds_are_checked(
    cast: Cast, dataset: Dataset, body: dict[str, Any], detail: str
) -> None:
    response = ask(cast["owner"], dataset, **body)
    assert response.status_code == 422
    assert response.json() == {"detail": detail.format(id=dataset.id)}


SHARE = {"entity": "metadata", "metadata_property": "share"}
ONE = {"type": "terms", "scope": SHARE, "values": ["1"]}


@pytest.mark.parametrize(
    "body",
    [
        {"filters": {"and": []}},
        {"filters": {"and": [ONE] * 51}},
        {"filters": {"and": [{**ONE, "values": []}]}},
        {"filters": {"and": [{**ONE, "values": ["1"] * 251}]}},
        {"filters": {"and": [{**ONE, "type": "fuzzy"}]}},
        {"filters": {"and": [{**ONE, "scope": {"entity": "user"}}]}},
        {"filters": terms("x", entity="record", property="fields")},
        {"filters": between(**SHARE)},
        {"filters": between(3, 2, **SHARE)},
        {"filters": between("b", "a", **SHARE)},
        {"filters": between("10", "9", **SHARE)},
        {"filters": between("2026-01-02T00:00:00+02:00", "2026-01-01T21:00:00", **SHARE)},
        {"filters": between(3, "2", **SHARE)},
        {"query": {"vector": {"name": "v"}}},
        {"query": {"vector": {"name": "v", "value": [1, 0], "record_id": str(uuid4())}}},
        {"query": {"vector": {"name": "v", "value": [1, 0], "order": "random"}}},
        {"query": {"text": {}}},
        {"query": {"hybrid": {"text": "x"}, "text": {"q": "x"}}},
        {"sort": []},
        {"sort": [{"scope": SHARE, "order": "up"}]},
        {"sort": [{"scope": SHARE}] * 11},
    ],
)
def test_the_shape_is_checked(cast: Cast, dataset: Dataset, body: dict[str, Any]) -> None:
    response = ask(cast["owner"], dataset, **body)
    assert response.status_code == 422, response.content
    assert response.json()["detail"]["code"] == "argilla.api.errors::ValidationError"


@pytest.mark.parametrize(
    "filters",
    [
        {"and": [ONE] * 50},
        between("9", "10", **SHARE),
        between("1", 2, **SHARE),
        between(1, "2", **SHARE),
        terms(True, **SOURCE),
        terms("9" * 5000, "1e999", "-inf", **SHARE),
        terms("9" * 5000, "1e999", entity="suggestion", question="quality"),
        terms("9999-99-99", entity="record", property="inserted_at"),
        terms("x" * 5000, **SOURCE),
    ],
)
def test_odd_values_are_no_error(cast: Cast, dataset: Dataset, filters: dict[str, Any]) -> None:
    assert ask(cast["owner"], dataset, filters=filters).status_code == 200


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?offset=-1", "?include=all"])
def test_the_page_is_checked(cast: Cast, dataset: Dataset, query: str) -> None:
    assert ask(cast["owner"], dataset, "", query).status_code == 422


def test_a_draft_has_nothing_to_find(cast: Cast, dataset: Dataset) -> None:
    with cast.inside():
        Dataset.objects.filter(id=dataset.id).update(status="draft")
    for path in ("", "/me"):
        assert found(cast["owner"], dataset, path, query=text("card")) == []


# --- Who sees what ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "all_records", "me"),
    [
        ("nobody", 401, 401),
        ("bad_key", 401, 401),
        ("annotator_out", 403, 403),
        ("annotator_in", 403, 200),
        ("reviewer_in", 200, 200),
        ("admin_out", 403, 403),
        ("admin_in", 200, 200),
        ("owner", 200, 200),
        ("stranger", 404, 404),
    ],
)
def test_roles(cast: Cast, dataset: Dataset, name: str, all_records: int, me: int) -> None:
    assert ask(cast[name], dataset, query=text("card")).status_code == all_records
    assert ask(cast[name], dataset, "/me", query=text("card")).status_code == me
    options = f"/datasets/{dataset.id}/records/search/suggestions/options"
    assert cast[name].get(options).status_code == me


def test_relations_come_when_asked_for(cast: Cast, dataset: Dataset) -> None:
    three = terms("3", entity="record", property="external_id")
    include = "?include=responses,suggestions&include=vectors"
    (item,) = ask(cast["owner"], dataset, "", include, filters=three).json()["items"]
    assert len(item["record"]["responses"]) == 2
    assert len(item["record"]["suggestions"]) == 3
    assert item["record"]["vectors"] == {"v": [1, -2]}
    (item,) = ask(cast["owner"], dataset, filters=three).json()["items"]
    assert not {"responses", "suggestions", "vectors"} & item["record"].keys()


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("owner", {"source", "words", "share", "secret", "extra"}),
        ("admin_in", {"source", "words", "share", "secret", "extra"}),
        ("annotator_in", {"source", "words", "share"}),
    ],
)
def test_what_is_ones_own(cast: Cast, dataset: Dataset, name: str, metadata: set[str]) -> None:
    items = ask(cast[name], dataset, "/me", "?include=responses").json()["items"]
    assert len(items) == 9
    for item in items:
        assert item["record"]["metadata"].keys() == metadata
        users = {response["user_id"] for response in item["record"]["responses"]}
        assert users <= {str(cast.id(name))}


def test_hidden_metadata_answers_no_filter_of_an_annotator(cast: Cast, dataset: Dataset) -> None:
    filters = terms("x", entity="metadata", metadata_property="secret")
    assert ask(cast["annotator_in"], dataset, "/me", filters=filters).status_code == 422
    assert len(found(cast["admin_in"], dataset, "/me", filters=filters)) == 9


def test_the_agents_of_each_question(cast: Cast, dataset: Dataset) -> None:
    path = f"/datasets/{dataset.id}/records/search/suggestions/options"
    items = cast["annotator_in"].get(path).json()["items"]
    agents = {item["question"]["name"]: item["agents"] for item in items}
    assert agents == {"sentiment": ["m/1"], "genre": ["m/2"], "quality": [], "comment": []}
    assert all(item["question"].keys() == {"id", "name"} for item in items)


def test_queries_are_few(cast: Cast, dataset: Dataset, django_assert_num_queries: Any) -> None:
    api = cast["owner"]
    ask(api, dataset, query=text("card"), sort=[{"scope": SHARE}])  # the schema is remembered
    source = terms("web", **SOURCE)
    for queries, body in (
        (3, {}),
        (2, {"query": text("card")}),
        (3, {"filters": source}),
        (2, {"query": text("card"), "filters": source}),
    ):
        with django_assert_num_queries(OVERHEAD + 1 + queries):
            ask(api, dataset, **body)


def test_a_property_declared_later_filters_what_is_there(cast: Cast, dataset: Dataset) -> None:
    api = cast["owner"]
    with cast.inside():
        Dataset.objects.filter(id=dataset.id).update(last_property_number=4)
    body = {"name": "extra", "title": "Extra", "settings": {"type": "integer"}}
    assert api.post(f"/datasets/{dataset.id}/metadata-properties", body).status_code == 201
    extra = {"entity": "metadata", "metadata_property": "extra"}
    assert found(api, dataset, filters=between(4, 6, **extra)) == list("456")
    sort = [{"scope": extra, "order": "desc"}]
    assert found(api, dataset, sort=sort) == list("987654321")
