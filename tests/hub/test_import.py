"""Splits of datasets on the Hub become records: every kind of value, every kind of trouble."""

import base64
import json
from datetime import datetime
from typing import Any

import pytest

from apps.core.errors import InvalidError
from apps.datasets.models import DatasetStatus
from apps.exchange.hub import importing, library
from apps.exchange.hub.services import Pair, Place, start_import
from apps.jobs.models import Job
from apps.records.models import Record, RecordVector, Suggestion
from tests.factories import make_dataset
from tests.hub.conftest import parquet
from tests.hub.server import TOKEN, Hub
from tests.hub.worlds import finish, import_from, mapping, png, rejects, rich_dataset

pytestmark = pytest.mark.usefixtures("organization")


def ids(dataset: Any) -> list[str]:
    rows = Record.objects.filter(dataset=dataset).in_order()
    return list(rows.values_list("external_id", flat=True))


def stored(dataset: Any) -> list[str]:
    rows = Record.objects.filter(dataset=dataset).in_order()
    return [fields["text"] for fields in rows.values_list("fields", flat=True)]


def suggested(dataset: Any, question: str) -> dict[str, Any]:
    found = Suggestion.objects.filter(dataset_id=dataset.id, question__name=question)
    return dict(found.values_list("record__external_id", "value"))


def test_every_kind_of_value_arrives(hub: Hub) -> None:
    import datasets
    from datasets import ClassLabel, Features, List, Value

    text = Value("string")
    features = Features(
        {
            "body": Value("int64"),
            "talk": List({"role": text, "content": text}),
            "shot": datasets.Image(),
            "extra": datasets.Json(),
            "label": ClassLabel(names=["negative", "positive"]),
            "labels": List(ClassLabel(names=["comedy", "drama"])),
            "stars": text,
            "ranks": List(text),
            "spans": List({"label": text, "start": Value("int32"), "end": Value("int32")}),
            "when": Value("timestamp[us]"),
            "count": Value("float64"),
            "part": Value("float32"),
            "vector": List(Value("float64")),
            "score": Value("float64"),
        }
    )
    rows = {
        "body": [12345, 678],
        "talk": [[{"role": "user", "content": "hi"}], None],
        "shot": [{"bytes": png(), "path": None}, None],
        "extra": [{"a": [1, None, "ü"]}, None],
        "label": [1, -1],
        "labels": [[0, 1], []],
        "stars": ["4", None],
        "ranks": [["b", "a", "c"], None],
        "spans": [[{"label": "person", "start": 0, "end": 2}], None],
        "when": [datetime(2026, 1, 2, 3, 4, 5), None],  # noqa: DTZ001
        "count": [3.0, None],
        "part": [0.5, float("nan")],
        "vector": [[1.0, 2.0, 3.0], None],
        "score": [0.75, None],
    }
    hub.add("ann/reviews", {"data/train-00000.parquet": parquet(rows, features)})
    dataset = rich_dataset()
    how = mapping(
        *("body>text", "talk>chat", "shot>picture", "extra>custom"),
        metadata=("when>source", "count>words", "part>share"),
        suggestions=(
            *("label>sentiment", "score>sentiment.score", "labels>genre", "stars>quality"),
            *("ranks>order", "body>comment", "spans>entities"),
        ),
        vectors=("vector>meaning",),
    )
    job = import_from(dataset, how)
    assert (job.state, job.error_sample, rejects(job)) == ("done", [], {})
    full, empty = Record.objects.filter(dataset=dataset).in_order()
    assert [full.external_id, empty.external_id] == ["train_0", "train_1"]
    assert full.fields == {
        "text": "12345",
        "chat": [{"role": "user", "content": "hi"}],
        "picture": "data:image/png;base64," + base64.b64encode(png()).decode(),
        "custom": {"a": [1, None, "ü"]},
    }
    assert {key: value for key, value in empty.fields.items() if value is not None} == {
        "text": "678"
    }
    assert full.metadata == {"source": "2026-01-02T03:04:05", "words": 3, "share": 0.5}
    assert not empty.metadata
    assert suggested(dataset, "sentiment") == {"train_0": "positive"}
    assert Suggestion.objects.get(question__name="sentiment").score == 0.75
    assert suggested(dataset, "genre") == {"train_0": ["comedy", "drama"]}
    assert suggested(dataset, "quality") == {"train_0": 4}
    assert [one["value"] for one in suggested(dataset, "order")["train_0"]] == ["b", "a", "c"]
    assert suggested(dataset, "comment") == {"train_0": "12345", "train_1": "678"}
    assert suggested(dataset, "entities") == {
        "train_0": [{"label": "person", "start": 0, "end": 2}]
    }
    [vector] = RecordVector.objects.all()
    assert list(vector.embedding) == [1.0, 2.0, 3.0]


def test_bad_rows_are_told_by_number_and_suggestions_never_shift(hub: Hub) -> None:
    rows = {
        "text": ["a", None, "c", "d", "e\x00", "f"],
        "label": ["positive", "negative", "unheard of", "mixed", "mixed", "negative"],
        "stars": [1, 2, 3, 99, 5, None],
    }
    hub.add("ann/reviews", {"train.parquet": parquet(rows)})
    dataset = rich_dataset()
    job = import_from(dataset, mapping("text", suggestions=("label>sentiment", "stars>quality")))
    assert job.state == "done"
    assert job.counters == {"total": 6, "done": 2, "failed": 4}
    found = rejects(job)
    assert list(found) == [1, 2, 3, 4]
    assert found[1] == "fields cannot be empty"
    assert "'unheard of' is not a valid label" in found[2]
    assert "99 is not a valid rating" in found[3]
    assert suggested(dataset, "sentiment") == {"train_0": "positive", "train_5": "negative"}
    assert suggested(dataset, "quality") == {"train_0": 1}


def test_a_file_of_bad_rows_alone_fails_the_job(hub: Hub) -> None:
    hub.add("ann/reviews", {"train.parquet": parquet({"text": [None, None]})})
    job = import_from(make_dataset(), mapping("text"))
    assert (job.state, job.failed) == ("failed", 2)


def test_a_column_of_ids_makes_a_second_import_an_update(hub: Hub) -> None:
    hub.add("ann/reviews", {"a.jsonl": b'{"key": 7, "text": "x"}\n{"key": null, "text": "y"}\n'})
    dataset = make_dataset()
    import_from(dataset, mapping("text", external_id="key"))
    assert ids(dataset) == ["7", "train_1"]
    hub.add("ann/reviews", {"a.jsonl": b'{"key": 7, "text": "new"}\n{"key": 8, "text": "z"}\n'})
    import_from(dataset, mapping("text", external_id="key"))
    assert ids(dataset) == ["7", "train_1", "8"]
    assert Record.objects.get(external_id="7").fields == {"text": "new"}


@pytest.mark.parametrize(
    "files",
    [
        {"train.csv": b"text,n\nfirst,1\nsecond,2\n", "test.csv": b"text,n\nno,3\n"},
        {"data/train/a.jsonl": b'{"text": "first"}\n{"text": "second"}\n'},
        {"train.txt": b"first\nsecond\n"},
    ],
    ids=["csv", "jsonl", "text"],
)
def test_other_formats_are_read_too(hub: Hub, files: dict[str, bytes]) -> None:
    hub.add("ann/reviews", files)
    dataset = make_dataset()
    assert import_from(dataset, mapping("text")).counters == {"total": 2, "done": 2, "failed": 0}
    assert stored(dataset) == ["first", "second"]


def test_a_folder_of_pictures_is_read(hub: Hub) -> None:
    lines = [{"file_name": f"{n}.{kind}", "caption": f"no {n}"} for n, kind in enumerate(PICTURES)]
    files = {f"train/{n}.{kind}": png(n + 1, PICTURES[kind]) for n, kind in enumerate(PICTURES)}
    files["train/metadata.jsonl"] = "\n".join(json.dumps(line) for line in lines).encode()
    hub.add("ann/reviews", files)
    dataset = rich_dataset()
    job = import_from(dataset, mapping("caption>text", "image>picture"))
    assert (job.state, rejects(job)) == ("done", {})
    found = {row.fields["text"]: row.fields["picture"] for row in Record.objects.all()}
    assert found["no 0"] == "data:image/png;base64," + base64.b64encode(png(1)).decode()
    assert found["no 1"].startswith("data:image/jpeg;base64,")
    assert found["no 2"].startswith("data:image/png;base64,")  # browsers do not show TIFF


PICTURES = {"png": "PNG", "jpg": "JPEG", "tiff": "TIFF"}


def test_more_than_ten_thousand_rows_pass_whole(hub: Hub) -> None:
    count = 10_500
    shards = {
        f"data/train-{shard:05d}-of-00003.parquet": parquet(
            {"text": [f"row {shard * 3_500 + n}" for n in range(3_500)]}
        )
        for shard in range(3)
    }
    hub.add("ann/reviews", shards)
    dataset = make_dataset()
    job = import_from(dataset, mapping("text"))
    assert job.counters == {"total": count, "done": count, "failed": 0}
    rows = Record.objects.filter(dataset=dataset).in_order()
    found = list(rows.values_list("external_id", "fields__text"))
    assert found == [(f"train_{n}", f"row {n}") for n in range(count)]
    opened = [line for line in hub.log if line.startswith("GET /api/datasets/ann/reviews/revision")]
    assert len(opened) < 20  # the stream stays open from one item to the next


def test_another_worker_goes_on_where_the_stream_was(hub: Hub, monkeypatch: Any) -> None:
    """Every item opens the stream anew, as if each had another worker."""
    monkeypatch.setattr(importing, "MAX_KEPT", 0)
    monkeypatch.setattr(importing, "CHUNK", 30)
    texts = {name: [f"{name}-{number}" for number in range(40)] for name in "abc"}
    hub.add(
        "ann/reviews",
        {f"train-{name}.parquet": parquet({"text": texts[name]}) for name in texts},
    )
    dataset = make_dataset()
    job = import_from(dataset, mapping("text"))
    assert job.counters == {"total": 120, "done": 120, "failed": 0}
    assert stored(dataset) == [*texts["a"], *texts["b"], *texts["c"]]


def test_a_commit_in_the_middle_changes_nothing_of_a_running_import(
    hub: Hub, monkeypatch: Any
) -> None:
    monkeypatch.setattr(importing, "MAX_KEPT", 0)
    monkeypatch.setattr(importing, "CHUNK", 2)
    hub.add("ann/reviews", {"a.parquet": parquet({"text": ["a", "b", "c", "d", "e"]})})
    dataset = make_dataset()

    original = importing._read_batch

    def read(stream: Any, params: Any) -> Any:
        if stream.position:
            hub.add("ann/reviews", {"a.parquet": parquet({"text": ["other"] * 9})})
        return original(stream, params)

    monkeypatch.setattr(importing, "_read_batch", read)
    import_from(dataset, mapping("text"))
    assert stored(dataset) == ["a", "b", "c", "d", "e"]


# --- What cannot be read ----------------------------------------------------------------------
def reason(job: Job) -> str:
    assert job.state == "failed"
    return str(job.error_sample[0]["error"])


def test_what_is_not_there_fails_the_job_with_the_reason(hub: Hub) -> None:
    hub.add("ann/reviews", {"train.parquet": parquet({"text": ["a"]})})
    dataset = make_dataset()
    how = mapping("text")
    assert "refuses access to 'ann/none'" in reason(import_from(dataset, how, name="ann/none"))
    missing = import_from(dataset, how, name="ann/none", token=TOKEN)
    assert "The Hub has no dataset 'ann/none'" in reason(missing)
    assert "Available splits: ['train']" in reason(import_from(dataset, how, split="test"))
    assert "'de' not found" in reason(import_from(dataset, how, subset="de"))
    assert "no column 'body'; there are: text." in reason(
        import_from(dataset, mapping("body>text"))
    )
    assert Record.objects.count() == 0


def test_a_draft_fails_the_job(hub: Hub) -> None:
    dataset = make_dataset()
    type(dataset).objects.update(status=DatasetStatus.DRAFT)
    assert "publish it first" in reason(import_from(dataset, mapping("text")))


def test_a_private_dataset_needs_the_requests_own_token(hub: Hub, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)  # the server's own is never used
    hub.add("ann/reviews", {"train.parquet": parquet({"text": ["a"]})}, private=True)
    dataset = make_dataset()
    assert "refuses access" in reason(import_from(dataset, mapping("text")))
    assert "refuses access" in reason(import_from(dataset, mapping("text"), token="hf_bad"))
    assert set(hub.tokens) == {"hf_bad"}
    job = import_from(dataset, mapping("text"), token=TOKEN)
    assert (job.state, job.done, job.secret) == ("done", 1, None)
    assert TOKEN not in json.dumps(job.params)


def test_a_hub_that_is_away_fails_the_job_with_the_reason(hub: Hub, settings: Any) -> None:
    settings.HF_ENDPOINT = "http://127.0.0.1:1"
    job = import_from(make_dataset(), mapping("text"))
    assert reason(job) == "The Hub at http://127.0.0.1:1 cannot be reached just now."


def test_a_hub_that_goes_away_in_the_middle_fails_it_and_a_retry_goes_on_there(
    hub: Hub, monkeypatch: Any
) -> None:
    from apps.jobs.services import retry_failed

    monkeypatch.setattr(importing, "MAX_KEPT", 0)
    monkeypatch.setattr(importing, "CHUNK", 2)
    original, away = importing._read_batch, True

    def read(stream: Any, params: Any) -> Any:
        if stream.position == 4 and away:
            raise library.UnreachableError("The Hub cannot be reached just now.")
        return original(stream, params)

    monkeypatch.setattr(importing, "_read_batch", read)
    hub.add("ann/reviews", {"a.parquet": parquet({"text": ["a", "b", None, "d", "e"]})})
    dataset = make_dataset()
    job = import_from(dataset, mapping("text"))
    assert "cannot be reached just now" in reason(job)
    assert job.counters == {"total": 4, "done": 3, "failed": 1}
    away = False
    job = finish(retry_failed(job=job))
    assert job.state == "done"
    assert job.counters == {"total": 5, "done": 4, "failed": 1}
    assert ids(dataset) == ["train_0", "train_1", "train_3", "train_4"]


# --- What a dataset says of itself is a stranger's word ---------------------------------------
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "http://169.254.169.254/latest", "zip://a::b"]
)
def test_a_dataset_cannot_name_files_elsewhere(hub: Hub, path: str) -> None:
    files = f"  data_files:\n  - split: train\n    path: {path}"
    card = f"---\nconfigs:\n- config_name: default\n{files}\n---\n"
    for name in ("README.md", ".huggingface.yaml"):
        text = card if name == "README.md" else card.strip("-\n")
        hub.add("ann/reviews", {name: text.encode(), "train.parquet": parquet({"text": ["a"]})})
        job = import_from(make_dataset(), mapping("text"))
        assert "names a file outside itself" in reason(job)
    assert Record.objects.count() == 0


def test_a_pictures_path_cannot_lead_elsewhere(hub: Hub, tmp_path: Any) -> None:
    import datasets
    import pyarrow.parquet

    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    features = datasets.Features({"text": datasets.Value("string"), "shot": datasets.Image()})
    shots = [
        {"bytes": None, "path": str(secret)},
        {"bytes": None, "path": "https://example.org/a.png"},
        {"bytes": None, "path": "hf://datasets/other/private@main/a.png"},
    ]
    table = pyarrow.Table.from_pydict(
        {"text": ["a", "b", "c"], "shot": shots}, schema=features.arrow_schema
    )
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    hub.add("ann/reviews", {"train.parquet": (tmp_path / "rows.parquet").read_bytes()})
    dataset = rich_dataset()
    job = import_from(dataset, mapping("text", "shot>picture"))
    stored = {row.external_id: row.fields["picture"] for row in Record.objects.all()}
    assert str(secret) not in json.dumps(stored)
    assert list(rejects(job)) == [0, 2]
    assert "does not lie in the dataset's repository" in rejects(job)[0]
    assert stored == {"train_1": "https://example.org/a.png"}


def test_a_name_without_a_user_is_looked_up(hub: Hub) -> None:
    """As the Hub does for old names; it never means a format or a folder of this server."""
    hub.add("ann/reviews", {"train.parquet": parquet({"text": ["a"]})})
    hub.moved["csv"] = "ann/reviews"
    assert import_from(make_dataset(), mapping("text"), name="csv").state == "done"
    other = import_from(make_dataset(), mapping("text"), name="text", token=TOKEN)
    assert "has no dataset" in reason(other)


# --- What is refused at once ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("place", "how", "message"),
    [
        (Place("a/b/c", "default", "train"), mapping("text"), "no dataset's name"),
        (Place("../etc", "default", "train"), mapping("text"), "no dataset's name"),
        (Place("a/b", "../x", "train"), mapping("text"), "no subset's name"),
        (Place("a/b", "default", "train[:10]"), mapping("text"), "no split's name"),
        (Place("a/b", "default", "train"), mapping("text>nope"), "no field 'nope'"),
        (Place("a/b", "default", "train"), mapping("a>text", "b>text"), "Two columns go to"),
        (
            Place("a/b", "default", "train"),
            mapping("text", suggestions=("a>nope",)),
            "no question 'nope'",
        ),
    ],
)
def test_impossible_requests_are_refused_at_once(place: Place, how: Any, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        start_import(dataset=make_dataset(), place=place, mapping=how)
    assert Job.objects.count() == 0


def test_without_the_packages_it_is_refused_with_the_remedy(monkeypatch: Any) -> None:
    monkeypatch.setattr(library, "PACKAGES", (*library.PACKAGES, "no_such_package"))
    how = mapping("text")
    with pytest.raises(InvalidError, match=r"pip install 'stoneware\[hub\]'"):
        start_import(dataset=make_dataset(), place=Place("a/b", "c", "d"), mapping=how)
    assert Pair("a", "b").target == "b"
