"""Records become a dataset on the Hub: its columns, its card, its way back."""

import io
import json
from typing import Any

import pytest

from apps.annotation.ingest import log_records
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Question
from apps.exchange.hub import exporting
from apps.jobs.models import Job
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput
from apps.records.models import Record, RecordVector, Suggestion
from tests.factories import make_dataset, make_member, make_records
from tests.hub.server import TOKEN, Hub
from tests.hub.worlds import export_to, import_from, mapping, png, rejects, rich_dataset

pytestmark = pytest.mark.usefixtures("organization")

PICTURE = "data:image/png;base64,"
VALUES: dict[str, Any] = {
    "sentiment": "mixed",
    "genre": ["drama", "comedy"],
    "quality": 4,
    "order": [
        {"value": "b", "rank": 1},
        {"value": "a", "rank": 1},
        {"value": "c", "rank": 3},
    ],
    "comment": "fine 🚀",
    "entities": [{"label": "place", "start": 1, "end": 4}],
}


def picture() -> str:
    import base64

    return PICTURE + base64.b64encode(png()).decode()


def fill(dataset: Dataset, users: list[Any]) -> None:
    """One record with everything, one with only what is required."""
    questions = {part.name: part.id for part in Question.objects.filter(dataset=dataset)}
    suggestions = [
        SuggestionInput(
            questions[name],
            value,
            score=[0.25] * len(value) if isinstance(value, list) else 0.5,
            agent="teacher",
        )
        for name, value in VALUES.items()
    ]
    responses = [
        ResponseInput(user.id, status, {name: {"value": value} for name, value in VALUES.items()})
        for user, status in zip(users, ("submitted", "draft"), strict=True)
    ]
    full = RecordInput(
        external_id="full",
        fields={
            "text": "Übung",
            "chat": [{"role": "user", "content": "hi"}],
            "picture": picture(),
            "custom": {"deep": [1, {"x": None}]},
        },
        metadata={
            "source": ["a", "b"],
            "words": 3,
            "share": 0.5,
            "note": "free",
            "mixed": [1, "two"],
        },
        suggestions=suggestions,
        responses=responses,
        vectors={"meaning": [0.1, 2.0, 3.0]},
    )
    log_records(dataset=dataset, items=[full, RecordInput({"text": "b"}, external_id="bare")])


@pytest.fixture
def users() -> list[Any]:
    return [make_member(username="ann"), make_member(username="bea")]


@pytest.fixture
def dataset(users: list[Any]) -> Dataset:
    dataset = rich_dataset(name="rich", guidelines="Be kind.\n")
    fill(dataset, users)
    return dataset


def table_of(hub: Hub, path: str, name: str = "ann/export") -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(
        io.BytesIO(hub.repos[name].files[path])
    ).to_pylist()
    return rows


def test_the_columns_are_the_contracts_and_typed(
    hub: Hub, dataset: Dataset, users: list[Any]
) -> None:
    import datasets
    from datasets import ClassLabel, List, Value

    job = export_to(dataset)
    assert (job.state, job.error_sample) == ("done", [])
    assert job.counters == {"total": 2, "done": 2, "failed": 0}
    loaded = datasets.load_dataset("ann/export", split="train")
    questions = list(VALUES)
    assert loaded.column_names == [
        *("id", "status", "inserted_at", "updated_at", "_server_id"),
        *("text", "chat", "picture", "custom"),
        *(
            f"{name}.{part}"
            for name in questions
            for part in (
                *("responses", "responses.users", "responses.status"),
                *("suggestion", "suggestion.agent", "suggestion.score"),
            )
        ),
        *("metadata.source", "metadata.words", "metadata.share"),
        *("metadata.mixed", "metadata.note", "vector.meaning"),
    ]
    features = loaded.features
    assert features["sentiment.suggestion"] == ClassLabel(names=["positive", "negative", "mixed"])
    assert features["sentiment.responses"] == List(Value("string"))
    assert features["quality.responses"] == List(Value("int64"))
    assert features["metadata.source"] == List(Value("string"))
    assert features["vector.meaning"] == List(Value("float32"))
    assert features["inserted_at"] == Value("timestamp[us]")
    full, bare = loaded
    record = Record.objects.get(external_id="full")
    assert (full["id"], full["status"], full["_server_id"]) == ("full", "completed", str(record.id))
    assert full["inserted_at"] == record.inserted_at.replace(tzinfo=None)
    assert full["custom"] == {"deep": [1, {"x": None}]}
    assert full["picture"].size == (4, 4)
    assert full["sentiment.suggestion"] == 2
    for name, value in VALUES.items():
        assert full[f"{name}.responses"] == [value, value]
        assert full[f"{name}.responses.users"] == [str(user.id) for user in users]
        assert full[f"{name}.responses.status"] == ["submitted", "draft"]
        assert full[f"{name}.suggestion.agent"] == "teacher"
    assert full["genre.suggestion.score"] == [0.25, 0.25]
    assert full["metadata.mixed"] == [1, "two"]
    assert full["vector.meaning"] == pytest.approx([0.1, 2.0, 3.0])
    empty = {key: value for key, value in bare.items() if value not in (None, [])}
    assert set(empty) == {"id", "status", "inserted_at", "updated_at", "_server_id", "text"}


def test_what_comes_back_is_what_went_out(hub: Hub, dataset: Dataset) -> None:
    export_to(dataset, private=True)
    twin = rich_dataset(name="twin")
    how = mapping(
        *("text", "chat", "picture", "custom"),
        metadata=tuple(
            f"metadata.{name}>{name}" for name in ("source", "words", "share", "note", "mixed")
        ),
        suggestions=tuple(
            f"{name}.suggestion{part}>{name}{part}"
            for name in VALUES
            for part in ("", ".agent", ".score")
        ),
        vectors=("vector.meaning>meaning",),
        external_id="id",
    )
    job = import_from(twin, how, name="ann/export", token=TOKEN)
    assert (job.state, rejects(job)) == ("done", {})
    assert contents(twin) == contents(dataset)


def contents(dataset: Dataset) -> list[Any]:
    """Everything about the records that no import makes anew."""
    return [
        (
            record.external_id,
            {key: value for key, value in record.fields.items() if value is not None},
            {key: value for key, value in (record.metadata or {}).items() if value is not None},
            sorted(
                (one.question.name, json.dumps(one.value), json.dumps(one.score), one.agent)
                for one in Suggestion.objects.filter(record=record).select_related("question")
            ),
            [list(one.embedding) for one in RecordVector.objects.filter(record=record)],
        )
        for record in Record.objects.filter(dataset=dataset).in_order()
    ]


def test_the_card_and_the_settings_are_there(hub: Hub, dataset: Dataset) -> None:
    from huggingface_hub import DatasetCard

    export_to(dataset)
    files = hub.repos["ann/export"].files
    assert sorted(files) == [
        *(".argilla/dataset.json", ".argilla/settings.json", ".argilla/version.json"),
        *(".gitattributes", "README.md", "data/train-00000-of-00001.parquet"),
    ]
    assert json.loads(files[".argilla/settings.json"])["guidelines"] == "Be kind.\n"
    card = DatasetCard(files["README.md"].decode())
    assert card.data.configs == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
    ]
    assert "Be kind." in card.text
    assert "| sentiment | Sentiment | label_selection | yes |" in card.text


def test_another_split_and_subset_leave_the_first_in_place(hub: Hub) -> None:
    import datasets

    first, second = make_dataset(name="first"), make_dataset(name="second")
    make_records(first, 3)
    make_records(second, 2)
    export_to(first)
    export_to(second, split="test")
    export_to(second, subset="other")
    sizes = {
        (subset, split): datasets.load_dataset("ann/export", subset, split=split).num_rows
        for subset, split in (("default", "train"), ("default", "test"), ("other", "train"))
    }
    assert sizes == {("default", "train"): 3, ("default", "test"): 2, ("other", "train"): 2}


def test_many_files_are_one_commit_which_removes_the_earlier_ones(
    hub: Hub, monkeypatch: Any
) -> None:
    import datasets

    dataset = make_dataset()
    make_records(dataset, 30)
    monkeypatch.setattr("apps.exchange.exporter.PAGE", 7)
    monkeypatch.setattr(exporting, "FILE_BYTES", 1)
    export_to(dataset)
    repo = hub.repos["ann/export"]
    assert len(repo.commits) == 2  # the first is the Hub's own
    names = [f"data/train-{number:05d}-of-00005.parquet" for number in range(5)]
    assert [path for path in repo.files if path.endswith(".parquet")] == names
    monkeypatch.setattr("apps.exchange.exporter.PAGE", 20)
    export_to(dataset)
    assert [path for path in repo.files if path.endswith(".parquet")] == [
        f"data/train-{number:05d}-of-00002.parquet" for number in range(2)
    ]
    rows = datasets.load_dataset("ann/export", split="train", download_mode="force_redownload")
    found = Record.objects.filter(dataset=dataset).in_order()
    assert rows["id"][:] == list(found.values_list("external_id", flat=True))


def test_pictures_on_the_web_stay_addresses(hub: Hub) -> None:
    dataset = rich_dataset()
    address = "https://example.org/a.png"
    fields = {"text": "a", "picture": address}
    other = {"text": "b", "picture": picture()}
    log_records(dataset=dataset, items=[RecordInput(fields), RecordInput(other)])
    export_to(dataset)
    rows = table_of(hub, "data/train-00000-of-00001.parquet")
    assert [row["picture"] for row in rows] == [address, picture()]


def test_a_private_export_makes_a_private_repository(hub: Hub) -> None:
    dataset = make_dataset()
    make_records(dataset, 1)
    job = export_to(dataset, private=True)
    assert hub.repos["ann/export"].private
    assert (job.secret, TOKEN in json.dumps(job.params)) == (None, False)


# --- What goes wrong --------------------------------------------------------------------------
def reason(job: Job) -> str:
    assert job.state == "failed"
    return str(job.error_sample[0]["error"])


def test_a_bad_token_and_a_hub_that_is_away_fail_the_job(hub: Hub, settings: Any) -> None:
    dataset = make_dataset()
    make_records(dataset, 1)
    assert "refuses access to 'ann/export'" in reason(export_to(dataset, token="hf_bad"))
    assert hub.repos == {}
    settings.HF_ENDPOINT = "http://127.0.0.1:1"
    assert "http://127.0.0.1:1 cannot be reached" in reason(export_to(dataset))


def test_a_dataset_without_records_is_refused_at_once() -> None:
    with pytest.raises(InvalidError, match="no records"):
        export_to(make_dataset())


def test_no_subset_is_exported_into_the_folder_of_the_default_one(hub: Hub) -> None:
    import datasets

    first, second = make_dataset(name="first"), make_dataset(name="second")
    make_records(first, 3)
    make_records(second, 1)
    export_to(first)
    with pytest.raises(InvalidError, match="cannot be called 'data'"):
        export_to(second, subset="data")
    assert datasets.load_dataset("ann/export", "default", split="train").num_rows == 3


def test_two_columns_of_one_name_are_refused(hub: Hub) -> None:
    from apps.datasets.models import Field

    dataset = make_dataset()
    text = {"type": "text", "use_markdown": False}
    Field.objects.create(dataset=dataset, name="status", title="S", settings=text)
    make_records(dataset, 1)
    assert "would be called 'status'" in reason(export_to(dataset))
