"""Fields, questions, metadata properties and vector settings on the wire."""

from typing import Any

import pytest

from apps.datasets.models import Dataset, Field, MetadataProperty, Question, VectorSettings
from apps.datasets.services import archive_dataset, trash_dataset
from apps.records.models import RecordMetadata
from tests import factories
from tests.api.conftest import OVERHEAD, Api, Cast

TEXT = {"type": "text", "use_markdown": False}
LABELS: dict[str, Any] = dict(factories.SENTIMENT)
COMMON = ["dataset_id", "id", "inserted_at", "name", "title", "updated_at"]
FIELD_KEYS = sorted([*COMMON, "required", "settings"])
QUESTION_KEYS = sorted([*FIELD_KEYS, "description"])
PROPERTY_KEYS = sorted([*COMMON, "settings", "visible_for_annotators"])
VECTOR_KEYS = sorted([*COMMON, "dimensions"])


@pytest.fixture
def admin(cast: Cast) -> Api:
    return cast["admin_in"]


@pytest.fixture
def draft(admin: Api, cast: Cast) -> str:
    body = {"name": "draft", "workspace_id": str(cast.workspace.id)}
    return f"/datasets/{admin.post('/datasets', body).json()['id']}"


@pytest.fixture
def ready(cast: Cast) -> str:
    with cast.inside():
        return f"/datasets/{factories.make_dataset(cast.workspace).id}"


def part(**values: Any) -> dict[str, Any]:
    return {"name": "x", "title": "X"} | values


def problems(answer: Any) -> list[tuple[str, list[Any]]]:
    assert answer.status_code == 422
    found = answer.json()["detail"]["params"]["errors"]
    return [(problem["type"], problem["loc"]) for problem in found]


def refusal(answer: Any, status: int = 422) -> str:
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    return detail


# --- Fields -----------------------------------------------------------------------------------
def test_a_field_is_made_changed_and_deleted(admin: Api, draft: str) -> None:
    answer = admin.post(f"{draft}/fields", part(settings=TEXT, id=None, dataset_id=None))
    assert answer.status_code == 201
    field = answer.json()
    assert sorted(field) == FIELD_KEYS
    assert (field["required"], field["settings"]) == (False, TEXT)
    path = f"/fields/{field['id']}"
    settings = {"type": "text", "use_markdown": True}
    sent = {"title": "Y", "settings": settings, "name": "z", "required": True}
    changed = admin.patch(path, sent).json()
    assert changed == field | {
        "title": "Y",
        "settings": settings,
        "updated_at": changed["updated_at"],
    }
    assert admin.get(f"{draft}/fields").json() == {"items": [changed]}
    gone = admin.delete(path)
    assert (gone.status_code, gone.json()) == (200, changed)
    assert admin.get(f"{draft}/fields").json() == {"items": []}


@pytest.mark.parametrize(("required", "expected"), [(None, False), (True, True), (False, False)])
def test_required_null_means_no(admin: Api, draft: str, required: Any, expected: bool) -> None:
    for kind in ("fields", "questions"):
        answer = admin.post(f"{draft}/{kind}", part(settings=TEXT, required=required))
        assert answer.json()["required"] is expected


@pytest.mark.parametrize(
    ("change", "type", "place"),
    [
        ({"name": ""}, "string_too_short", ["name"]),
        ({"name": "x" * 201}, "string_too_long", ["name"]),
        ({"title": ""}, "string_too_short", ["title"]),
        ({"title": "x" * 501}, "string_too_long", ["title"]),
        ({"title": None}, "string_type", ["title"]),
        ({"settings": None}, "model_attributes_type", ["settings"]),
        ({"settings": {"type": "table"}}, "union_tag_invalid", ["settings"]),
        ({"settings": {"type": "custom"}}, "missing", ["settings", "custom", "template"]),
    ],
)
def test_a_wrong_field_is_a_422(
    admin: Api, draft: str, change: Any, type: str, place: list[str]
) -> None:
    answer = admin.post(f"{draft}/fields", part(settings=TEXT) | change)
    assert problems(answer) == [(type, ["body", *place])]


def test_a_fields_type_and_nulls_are_refused_in_changes(admin: Api, draft: str) -> None:
    field = admin.post(f"{draft}/fields", part(settings=TEXT)).json()
    path = f"/fields/{field['id']}"
    assert "type" in refusal(admin.patch(path, {"settings": {"type": "image"}}))
    for name in ("title", "settings"):
        ((_, place),) = problems(admin.patch(path, {name: None}))
        assert place == ["body", name]
    assert admin.patch(path, {}).status_code == 200


@pytest.mark.parametrize("kind", ["fields", "questions"])
def test_a_published_dataset_keeps_its_fields_and_questions(
    admin: Api, ready: str, kind: str
) -> None:
    assert "published" in refusal(admin.post(f"{ready}/{kind}", part(settings=TEXT)))
    (found,) = admin.get(f"{ready}/{kind}").json()["items"]
    assert "published" in refusal(admin.delete(f"/{kind}/{found['id']}"))
    body = {"title": "New", "settings": found["settings"]}
    for _ in range(2):
        assert admin.patch(f"/{kind}/{found['id']}", body).json()["title"] == "New"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("fields", {"settings": TEXT}),
        ("questions", {"settings": TEXT}),
        ("metadata-properties", {"settings": {"type": "terms"}}),
        ("vectors-settings", {"dimensions": 2}),
    ],
)
def test_a_used_name_conflicts_within_dataset_and_kind(
    admin: Api, draft: str, kind: str, body: Any
) -> None:
    assert admin.post(f"{draft}/{kind}", part(**body)).status_code == 201
    detail = refusal(admin.post(f"{draft}/{kind}", part(**body)), 409)
    assert "`x`" in detail


def test_parts_are_listed_as_they_came_in_few_queries(
    admin: Api, draft: str, django_assert_num_queries: Any
) -> None:
    bodies = {
        "fields": {"settings": TEXT},
        "questions": {"settings": TEXT},
        "vectors-settings": {"dimensions": 2},
    }
    for kind, body in bodies.items():
        for name in ("c", "a", "b"):
            admin.post(f"{draft}/{kind}", part(**body) | {"name": name})
        with django_assert_num_queries(OVERHEAD + 2):  # dataset with role, parts
            items = admin.get(f"{draft}/{kind}").json()["items"]
        assert [item["name"] for item in items] == ["c", "a", "b"]


# --- Questions --------------------------------------------------------------------------------
def test_a_question_is_made_changed_and_deleted(admin: Api, draft: str) -> None:
    answer = admin.post(f"{draft}/questions", part(settings=LABELS, description="Why"))
    assert answer.status_code == 201
    question = answer.json()
    assert sorted(question) == QUESTION_KEYS
    assert question["settings"] == LABELS
    path = f"/questions/{question['id']}"
    options = [{"value": v, "text": "T"} for v in ("mixed", "negative", "positive")]
    settings = {"type": "label_selection", "options": options, "visible_options": 3}
    changed = admin.patch(path, {"description": None, "settings": settings}).json()
    assert changed["settings"]["visible_options"] == 3
    assert [option["value"] for option in changed["settings"]["options"]] == [
        "mixed",
        "negative",
        "positive",
    ]
    assert (changed["description"], changed["title"]) == (None, "X")
    gone = admin.delete(path)
    assert (gone.status_code, gone.json()) == (200, changed)


@pytest.mark.parametrize("name", list(factories.QUESTIONS))
def test_every_question_type_comes_back_as_it_was_given(admin: Api, draft: str, name: str) -> None:
    admin.post(f"{draft}/fields", part(name="text", settings=TEXT))
    settings = dict(factories.QUESTIONS[name])
    answer = admin.post(f"{draft}/questions", part(settings=settings))
    assert answer.json()["settings"] == settings


def test_a_problem_names_the_option_and_the_union_tag(admin: Api, draft: str) -> None:
    settings = {"type": "rating", "options": [{"value": 1}, {"value": 11}]}
    answer = admin.post(f"{draft}/questions", part(settings=settings))
    place = ["body", "settings", "rating", "options", 1, "value"]
    assert problems(answer) == [("less_than_equal", place)]


@pytest.mark.parametrize("description", ["", "x" * 1001])
def test_a_wrong_description_is_a_422(admin: Api, draft: str, description: str) -> None:
    answer = admin.post(f"{draft}/questions", part(settings=TEXT, description=description))
    ((_, place),) = problems(answer)
    assert place == ["body", "description"]


def test_spans_need_a_field_of_their_own(admin: Api, draft: str) -> None:
    span = dict(factories.QUESTIONS["entities"])
    body = part(settings=span)
    assert "text" in refusal(admin.post(f"{draft}/questions", body))
    admin.post(f"{draft}/fields", part(name="text", settings=TEXT))
    assert admin.post(f"{draft}/questions", body).status_code == 201
    assert "already used" in refusal(admin.post(f"{draft}/questions", body | {"name": "y"}))


def test_the_set_of_options_is_frozen(admin: Api, draft: str) -> None:
    question = admin.post(f"{draft}/questions", part(settings=LABELS)).json()
    path = f"/questions/{question['id']}"
    options = LABELS["options"]
    for wrong in (options[:2], [*options, {"value": "x", "text": "X"}]):
        body = {"settings": {"type": "label_selection", "options": wrong}}
        assert "options" in refusal(admin.patch(path, body))
    renamed = [*options[:2], {"value": "x", "text": "X"}]
    body = {"settings": {"type": "label_selection", "options": renamed}}
    assert "option values" in refusal(admin.patch(path, body))
    assert admin.patch(path, {"settings": {"type": "rating"}}).status_code == 422


# --- Put away ---------------------------------------------------------------------------------
@pytest.fixture
def whole(cast: Cast, admin: Api, ready: str) -> dict[str, str]:
    """The path of a part of each kind."""
    sent = {
        "metadata-properties": {"settings": {"type": "terms"}},
        "vectors-settings": {"dimensions": 2},
    }
    for kind, body in sent.items():
        assert admin.post(f"{ready}/{kind}", part(**body)).status_code == 201
    with cast.inside():
        kinds = {"fields": Field, "questions": Question}
        kinds |= {"metadata-properties": MetadataProperty, "vectors-settings": VectorSettings}
        return {kind: f"/{kind}/{model.objects.get().id}" for kind, model in kinds.items()}


def test_parts_of_a_dataset_in_the_trash_are_not_found(
    cast: Cast, admin: Api, ready: str, whole: dict[str, str]
) -> None:
    with cast.inside():
        trash_dataset(dataset=Dataset.objects.get(pk=ready.rpartition("/")[2]))
    for path in whole.values():
        answers = [admin.get(path), admin.patch(path, {"title": "Y"}), admin.delete(path)]
        assert [answer.status_code for answer in answers] == [404, 404, 404], path


def test_parts_of_an_archived_dataset_are_read_only(
    cast: Cast, admin: Api, ready: str, whole: dict[str, str]
) -> None:
    with cast.inside():
        archive_dataset(dataset=Dataset.objects.get(pk=ready.rpartition("/")[2]))
    for path in whole.values():
        answers = [admin.patch(path, {"title": "Y"}), admin.delete(path), admin.get(path)]
        assert [answer.status_code for answer in answers] == [409, 409, 200], path


# --- Metadata properties ----------------------------------------------------------------------
def test_a_property_is_made_changed_and_deleted_also_later(admin: Api, ready: str) -> None:
    settings = {"type": "integer", "min": 0, "max": 9, "visible_for_annotators": True}
    answer = admin.post(f"{ready}/metadata-properties", part(settings=settings))
    assert answer.status_code == 201
    property = answer.json()
    assert sorted(property) == PROPERTY_KEYS
    assert property["settings"] == {"type": "integer", "min": 0, "max": 9}
    assert property["visible_for_annotators"] is True
    path = f"/metadata-properties/{property['id']}"
    sent = {"title": "Y", "settings": {"type": "terms"}, "name": "z"}
    changed = admin.patch(path, sent).json()
    assert changed == property | {"title": "Y", "updated_at": changed["updated_at"]}
    hidden = admin.patch(path, {"visible_for_annotators": False}).json()
    assert (hidden["title"], hidden["visible_for_annotators"]) == ("Y", False)
    gone = admin.delete(path)
    assert (gone.status_code, gone.json()) == (200, hidden)


def test_a_changed_title_leaves_the_visibility(admin: Api, ready: str) -> None:
    for visible in (True, False):
        body = part(name=f"v-{visible}", settings={"type": "terms"})
        body["visible_for_annotators"] = visible
        property = admin.post(f"{ready}/metadata-properties", body).json()
        path = f"/metadata-properties/{property['id']}"
        assert admin.patch(path, {"title": "T"}).json()["visible_for_annotators"] is visible


def test_annotators_see_the_properties_shown_to_them(
    cast: Cast, admin: Api, ready: str, django_assert_num_queries: Any
) -> None:
    for name, visible in (("open", True), ("hidden", False)):
        body = part(name=name, settings={"type": "terms"}, visible_for_annotators=visible)
        hidden = admin.post(f"{ready}/metadata-properties", body).json()

    def names(who: str) -> list[str]:
        items = cast[who].get(f"/me{ready}/metadata-properties").json()["items"]
        return [item["name"] for item in items]

    for who in ("owner", "admin_in", "reviewer_in"):
        assert names(who) == ["open", "hidden"]
    assert names("annotator_in") == ["open"]
    metrics = f"/metadata-properties/{hidden['id']}/metrics"
    assert cast["annotator_in"].get(metrics).status_code == 403
    assert cast["reviewer_in"].get(metrics).status_code == 200
    with django_assert_num_queries(OVERHEAD + 2):  # dataset with role, properties
        names("annotator_in")


def test_a_deleted_property_takes_its_filterable_values_and_its_number_along(
    cast: Cast, admin: Api, ready: str
) -> None:
    dataset_id = ready.rpartition("/")[2]
    body = part(settings={"type": "terms"})
    first = admin.post(f"{ready}/metadata-properties", body).json()
    with cast.inside():
        dataset = Dataset.objects.get(pk=dataset_id)
        factories.make_records(dataset, 2, metadata={"x": "a"}, sets_metadata=True)
        assert RecordMetadata.objects.count() == 2
    admin.delete(f"/metadata-properties/{first['id']}")
    with cast.inside():
        assert RecordMetadata.objects.count() == 0
    second = admin.post(f"{ready}/metadata-properties", body).json()
    with cast.inside():
        assert MetadataProperty.objects.get(pk=second["id"]).number == 2
        assert set(RecordMetadata.objects.values_list("number", "term")) == {(2, "a")}


def test_metrics_count_terms_and_bound_numbers(cast: Cast, admin: Api, ready: str) -> None:
    ids = {}
    for name, kind in (("t", "terms"), ("i", "integer"), ("f", "float"), ("none", "float")):
        body = part(name=name, settings={"type": kind})
        ids[name] = admin.post(f"{ready}/metadata-properties", body).json()["id"]
    with cast.inside():
        dataset = Dataset.objects.get(pk=ready.rpartition("/")[2])
        for terms, integer, number in ((["a", "b"], 3, 0.1), ("b", -2, 1 / 3), ("c", 7, 2)):
            metadata = {"t": terms, "i": integer, "f": number}
            factories.make_records(dataset, metadata=metadata, sets_metadata=True)

    def metrics(name: str) -> Any:
        return cast["annotator_in"].get(f"/metadata-properties/{ids[name]}/metrics").json()

    assert metrics("t") == {
        "type": "terms",
        "total": 3,
        "values": [
            {"term": "b", "count": 2},
            {"term": "a", "count": 1},
            {"term": "c", "count": 1},
        ],
    }
    assert metrics("i") == {"type": "integer", "min": -2, "max": 7}
    assert metrics("f") == {"type": "float", "min": 0.1, "max": 2.0}
    assert metrics("none") == {"type": "float", "min": None, "max": None}


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"type": "integer", "min": 2, "max": 2}},
        {"settings": {"type": "terms", "values": []}},
        {"settings": {"type": "date"}},
        {"visible_for_annotators": None},
        {"name": "x" * 201},
    ],
)
def test_a_wrong_property_is_a_422(admin: Api, draft: str, change: Any) -> None:
    body = part(settings={"type": "terms"}) | change
    assert len(problems(admin.post(f"{draft}/metadata-properties", body))) == 1


# --- Vectors ----------------------------------------------------------------------------------
def test_vector_settings_are_made_changed_and_deleted_also_later(admin: Api, ready: str) -> None:
    answer = admin.post(f"{ready}/vectors-settings", part(dimensions=4))
    assert answer.status_code == 201
    settings = answer.json()
    assert sorted(settings) == VECTOR_KEYS
    path = f"/vectors-settings/{settings['id']}"
    changed = admin.patch(path, {"title": "Y", "dimensions": 9, "name": "z"}).json()
    assert changed == settings | {"title": "Y", "updated_at": changed["updated_at"]}
    assert problems(admin.patch(path, {})) == [("missing", ["body", "title"])]
    gone = admin.delete(path)
    assert (gone.status_code, gone.json()) == (200, changed)


def test_a_dataset_has_at_most_five_vectors(admin: Api, draft: str) -> None:
    for number in range(5):
        body = part(name=f"v{number}", dimensions=2)
        assert admin.post(f"{draft}/vectors-settings", body).status_code == 201
    assert "5" in refusal(admin.post(f"{draft}/vectors-settings", part(dimensions=2)))


@pytest.mark.parametrize(
    ("change", "type", "place"),
    [
        ({"dimensions": 0}, "greater_than_equal", "dimensions"),
        ({"dimensions": 4097}, "less_than_equal", "dimensions"),
        ({"dimensions": None}, "int_type", "dimensions"),
        ({"name": "a b"}, "string_pattern_mismatch", "name"),
        ({"name": "a\n"}, "string_pattern_mismatch", "name"),
        ({"title": ""}, "string_too_short", "title"),
    ],
)
def test_wrong_vector_settings_are_a_422(
    admin: Api, draft: str, change: Any, type: str, place: str
) -> None:
    answer = admin.post(f"{draft}/vectors-settings", part(dimensions=2) | change)
    assert problems(answer) == [(type, ["body", place])]
