"""Files of Label Studio, doccano, distilabel and Argilla 1.x, from the formats' documentation."""

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.exchange.foreign.documents import read_documents
from apps.exchange.foreign.formats import ForeignFormat
from apps.exchange.foreign.offsets import code_points
from tests import factories
from tests.exchange.conftest import export_bytes, export_lines
from tests.exchange.test_round_trip import FULL

SAMPLES = Path(__file__).parent / "samples"
ANNOTATORS = ["--user", "1=anna", "--user", "ben@example.org=ben", "--user", "2=ben"]


class Place:
    """An organization with ``anna`` and ``ben`` and the empty workspace ``lab``."""

    def __init__(self) -> None:
        self.organization = factories.make_organization()
        with enter(self.organization.id):
            factories.make_workspace("lab")
            for name in ("anna", "ben"):
                factories.make_member(username=name)

    def arguments(self, file: Path | str, format: str, *more: str) -> list[str]:
        where = ["--organization", self.organization.slug, "--workspace", "lab"]
        start = ["import_records", str(file), "--format", format, "--dataset", "new", "--json"]
        return [*start, *where, *more]

    def run(self, file: Path | str, format: str, *more: str) -> dict[str, Any]:
        out = io.StringIO()
        call_command(*self.arguments(file, format, *more), stdout=out, stderr=io.StringIO())
        return dict(json.loads(out.getvalue()))

    def fail(self, file: Path | str, format: str, *more: str) -> tuple[str, dict[str, Any]]:
        """The one line of the error, and the answer before it."""
        out = io.StringIO()
        with pytest.raises(CommandError) as caught:
            call_command(*self.arguments(file, format, *more), stdout=out, stderr=io.StringIO())
        assert "\n" not in str(caught.value)
        return str(caught.value), json.loads(out.getvalue() or "{}")

    def dataset(self) -> Dataset:
        with enter(self.organization.id):
            return Dataset.objects.get(name="new")

    def lines(self) -> dict[str, dict[str, Any]]:
        return {line["id"]: line for line in export_lines(self.dataset())}

    def count(self) -> int:
        with enter(self.organization.id):
            return Dataset.objects.count()

    def shape(self) -> dict[str, Any]:
        """Type and options of each part."""
        with enter(self.organization.id):
            schema = load_schema(Dataset.objects.get(name="new"))
            return {
                "fields": {n: (one.type, one.required) for n, one in schema.fields.items()},
                "questions": {
                    n: (rule.type, [o["value"] for o in rule.question.options], rule.required)
                    for n, rule in schema.questions.items()
                },
                "properties": {n: one.type for n, one in schema.properties.items()},
                "vectors": {n: one.dimensions for n, one in schema.vectors.items()},
            }


@pytest.fixture
def place(db: None) -> Place:
    return Place()


def write(file: Path, *documents: Any) -> Path:
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in documents))
    return file


# --- Label Studio --------------------------------------------------------------------------------
def test_label_studio_makes_a_fitting_dataset(place: Place) -> None:
    answer = place.run(SAMPLES / "label_studio.json", "label_studio", "--create", *ANNOTATORS)
    assert (answer["read"], answer["created"], answer["rejected"]) == (4, 4, 0)
    assert answer["ignored_columns"] == ["box (rectanglelabels)", "relation"]
    shape = place.shape()
    assert shape["fields"] == dict.fromkeys(("text", "answer_a", "answer_b"), ("text", True))
    assert shape["properties"] == {"source": "terms", "year": "integer"}
    assert shape["questions"] == {
        "sentiment": ("label_selection", ["Positive", "Negative"], True),
        "topic": ("multi_label_selection", ["Travel/Space", "Places", "Weather"], False),
        "quality": ("rating", [1, 2, 3, 4, 5], False),
        "comment": ("text", [], False),
        "better": ("label_selection", ["left", "other"], False),
        "order": ("ranking", ["b", "a", "c"], False),
        "entities": ("span", ["PER", "LOC"], False),
    }


def test_label_studio_answers_are_those_of_their_authors(place: Place) -> None:
    place.run(SAMPLES / "label_studio.json", "label_studio", "--create", *ANNOTATORS)
    lines = place.lines()
    text = lines["101"]["fields"]["text"]
    assert lines["101"]["metadata"] == {"source": "app", "year": 1999, "batch": 1}
    assert lines["104"]["metadata"] == {"source": "web"}
    anna, ben = lines["101"]["responses"]
    assert (anna["user"], ben["user"]) == ("anna", "ben")
    assert (anna["status"], ben["status"]) == ("submitted", "submitted")
    assert anna["inserted_at"] == "2024-05-02T10:00:00.123456"
    values = {name: one["value"] for name, one in anna["values"].items()}
    assert [text[span["start"] : span["end"]] for span in values.pop("entities")] == [
        *("Ada", "Turin")
    ]
    assert values == {
        "sentiment": "Positive",
        "topic": ["Travel/Space", "Places"],
        "quality": 4,
        "comment": "Good.\nReally.",
        "better": "left",
        "order": [{"value": v, "rank": n} for n, v in enumerate(("b", "a", "c"), start=1)],
    }
    suggestions = {one["question"]: one for one in lines["101"]["suggestions"]}
    assert suggestions["sentiment"] == {
        "question": "sentiment",
        "value": "Positive",
        "score": 0.75,
        "agent": "bert-1",
        "type": "model",
    }
    assert suggestions["entities"]["score"] == [0.75]
    [span] = suggestions["entities"]["value"]
    assert text[span["start"] : span["end"]] == "Turin"
    assert [one["status"] for one in lines["102"]["responses"]] == ["submitted", "discarded"]


def test_label_studio_fits_a_dataset_that_is_there(place: Place) -> None:
    with enter(place.organization.id):
        workspace = factories.make_workspace("other")
        factories.make_dataset(workspace, name="new", questions=["sentiment", "entities"])
    task = {
        "id": 1,
        "data": {"text": "A film", "year": 1999},
        "annotations": [
            {
                "completed_by": {"email": "anna"},
                "result": [
                    {
                        "from_name": "sentiment",
                        "to_name": "t",
                        "type": "choices",
                        "value": {"choices": ["mixed"]},
                    },
                    {
                        "from_name": "unknown",
                        "to_name": "t",
                        "type": "choices",
                        "value": {"choices": ["x"]},
                    },
                ],
            },
        ],
    }
    out = io.StringIO()
    arguments = place.arguments("-", "label_studio", "--workspace", "other")
    source = io.TextIOWrapper(io.BytesIO(json.dumps([task]).encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", source)
        call_command(*arguments, stdout=out)
    answer = json.loads(out.getvalue())
    assert (answer["created"], answer["ignored_columns"]) == (1, ["unknown"])
    [line] = export_lines(place.dataset())
    assert line["responses"][0]["values"] == {"sentiment": {"value": "mixed"}}


def test_an_answer_that_lacks_what_is_required_is_a_draft(place: Place, tmp_path: Path) -> None:
    place.run(SAMPLES / "label_studio.json", "label_studio", "--create", *ANNOTATORS)
    rating = {"from_name": "quality", "type": "rating", "value": {"rating": 2}}
    task = {
        "id": 9,
        "data": {"text": "a", "answer_a": "b", "answer_b": "c"},
        "annotations": [{"completed_by": 1, "result": [rating]}],
    }
    place.run(write(tmp_path / "task.json", [task]), "label_studio", *ANNOTATORS)
    [response] = place.lines()["9"]["responses"]
    assert (response["status"], response["values"]) == ("draft", {"quality": {"value": 2}})


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        (("2024-05-02T10:00:00Z", "2024-05-03T10:00:00Z"), 2),
        (("2024-05-03T10:00:00Z", "2024-05-02T10:00:00Z"), 1),
        ((None, None), 2),
    ],
)
def test_of_two_answers_of_one_person_the_newest_counts(
    place: Place, tmp_path: Path, times: tuple[str | None, str | None], kept: int
) -> None:
    place.run(SAMPLES / "label_studio.json", "label_studio", "--create", *ANNOTATORS)

    def annotation(author: int, rating: int, time: str | None) -> dict[str, Any]:
        value = {"from_name": "quality", "type": "rating", "value": {"rating": rating}}
        return {"completed_by": author, "result": [value], "created_at": time}

    task = {
        "id": 9,
        "data": {"text": "a", "answer_a": "b", "answer_b": "c"},
        "annotations": [annotation(n, n, time) for n, time in enumerate(times, start=1)],
    }
    same = ["--user", "1=anna", "--user", "2=anna"]
    answer = place.run(write(tmp_path / "task.json", [task]), "label_studio", *same)
    assert (answer["created"], answer["rejected"]) == (1, 0)
    assert answer["ignored_columns"] == ["anna (an earlier answer to the same item)"]
    [response] = place.lines()["9"]["responses"]
    assert (response["user"], response["values"]) == ("anna", {"quality": {"value": kept}})


def test_authors_that_nobody_knows_are_asked_for(place: Place) -> None:
    message, answer = place.fail(SAMPLES / "label_studio.json", "label_studio", "--create")
    assert message == "2 of 4 rows were rejected."
    assert (
        "nobody has the username '1'; say who it is: --user 1=USERNAME"
        in (answer["rejects"][0]["reason"])
    )


@pytest.mark.parametrize(
    ("text", "units", "said", "wanted"),
    [
        ("plain text", (0, 5), "plain", (0, 5)),
        ("👩 Ada", (3, 6), "Ada", (2, 5)),
        ("👩 Ada", (3, 6), None, (2, 5)),
        ("👩 Ada", (2, 5), "Ada", (2, 5)),
        ("👩👩", (0, 4), "👩👩", (0, 2)),
        ("a👩", (1, 3), "👩", (1, 2)),
        ("👩", (0, 9), None, (0, 8)),
        ("", (0, 1), None, (0, 1)),
    ],
)
def test_offsets_of_javascript_become_code_points(
    text: str, units: tuple[int, int], said: str | None, wanted: tuple[int, int]
) -> None:
    assert code_points(text, *units, said) == wanted


# --- doccano -------------------------------------------------------------------------------------
def test_doccano_classification(place: Place) -> None:
    file = SAMPLES / "doccano_classification.jsonl"
    answer = place.run(file, "doccano", "--create", "--response-user", "anna")
    assert (answer["created"], answer["ignored_columns"]) == (4, ["Comments"])
    labels = ["negative", "positive", "fast"]
    assert place.shape()["questions"] == {"label": ("multi_label_selection", labels, True)}
    answers = {
        id: [one["values"]["label"]["value"] for one in line["responses"]]
        for id, line in place.lines().items()
    }
    assert answers == {
        "1": [["negative"]],
        "2": [["positive", "fast"]],
        "3": [["positive"]],
        "4": [],
    }


def test_doccano_answers_of_nobody_are_suggestions(place: Place) -> None:
    place.run(SAMPLES / "doccano_sequence.jsonl", "doccano", "--create")
    lines = place.lines()
    assert place.shape()["questions"] == {"entities": ("span", ["ORG", "MISC", "PER"], True)}
    found = [
        [(line["fields"]["text"][span["start"] : span["end"]], span["label"]) for span in one]
        for line in lines.values()
        for one in [line["suggestions"][0]["value"]]
    ]
    assert found == [
        [("EU", "ORG"), ("German", "MISC")],
        [("Peter Blackburn", "PER")],
        [("Obama", "PER")],
        [],
    ]
    assert not any(line["responses"] for line in lines.values())


def test_a_doccano_text_without_entities_is_answered_wherever_it_stands(
    place: Place, tmp_path: Path
) -> None:
    lines = [
        {"id": 1, "text": "nothing here", "label": []},
        {"id": 2, "text": "Anna here", "label": [[0, 4, "PER"]]},
        {"id": 3, "text": "nothing here either", "label": []},
        {"id": 4, "text": "nor here", "entities": []},
    ]
    file = write(tmp_path / "doccano.jsonl", *lines)
    answer = place.run(file, "doccano", "--create", "--response-user", "anna")
    assert (answer["created"], answer["ignored_columns"]) == (4, [])
    values = [
        line["responses"][0]["values"]["entities"]["value"] for line in place.lines().values()
    ]
    assert values == [[], [{"label": "PER", "start": 0, "end": 4}], [], []]


def test_doccano_sequence_to_sequence(place: Place) -> None:
    file = SAMPLES / "doccano_seq2seq.jsonl"
    message, answer = place.fail(file, "doccano", "--create")
    assert message == "1 of 3 rows were rejected."
    assert answer["rejects"] == [{"row": 3, "reason": "2 answers where 'label' takes one"}]
    assert place.shape()["questions"] == {"label": ("text", [], True)}
    assert place.lines()["1"]["suggestions"][0]["value"] == "こんにちは！"


def test_a_question_type_can_be_told(place: Place) -> None:
    file = SAMPLES / "doccano_classification.jsonl"
    place.fail(file, "doccano", "--create", "--question", "label=text")
    assert place.shape()["questions"] == {"label": ("text", [], True)}
    message, _ = place.fail(file, "doccano", "--create", "--question", "label=words")
    assert "'words' is no question type" in message


# --- distilabel ----------------------------------------------------------------------------------
def test_distilabel_judgements_are_suggestions(place: Place) -> None:
    answer = place.run(SAMPLES / "distilabel.jsonl", "distilabel", "--create")
    assert (answer["created"], answer["ignored_columns"]) == (2, ["distilabel_metadata"])
    shape = place.shape()
    assert list(shape["fields"]) == ["instruction", "generation-1", "generation-2"]
    assert shape["properties"] == {"generation_models": "terms", "model_name": "terms"}
    assert {name: one[0] for name, one in shape["questions"].items()} == {
        "generation-1-rating": "rating",
        "generation-2-rating": "rating",
        "generation-1-rationale": "text",
        "generation-2-rationale": "text",
    }
    first, second = place.lines().values()
    assert [(one["question"], one["value"]) for one in second["suggestions"]] == [
        ("generation-1-rating", 4),
        ("generation-1-rationale", "Right."),
        ("generation-2-rationale", "No judgement."),
    ]
    assert {one["agent"] for one in first["suggestions"]} == {"judge-1"}


def test_a_dataset_saved_to_disk_and_parquet_are_read_too(place: Place, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [json.loads(line) for line in (SAMPLES / "distilabel.jsonl").open(encoding="utf-8")]
    for number, row in enumerate(rows):
        row["id"] = number
        row["messages"] = [{"role": "user", "content": "Hi"}, {"role": "bot", "content": "Yes"}]
        row["embedding"] = [number / 8] * 8
        del row["distilabel_metadata"]
    table = datasets.Dataset.from_list(rows)
    datasets.DatasetDict({"train": table}).save_to_disk(str(tmp_path / "saved"))
    table.to_parquet(str(tmp_path / "rows.parquet"))
    place.run(tmp_path / "saved", "distilabel", "--create")
    shape, lines = place.shape(), export_bytes(place.dataset())
    assert shape["vectors"] == {"embedding": 8}
    assert shape["fields"]["messages"] == ("chat", True)
    assert place.run(tmp_path / "rows.parquet", "distilabel")["updated"] == 2
    assert export_bytes(place.dataset()) == lines


def test_a_file_without_answers_gets_a_question(place: Place, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", {"prompt": "Say something."}, {"prompt": "And more."})
    place.run(file, "distilabel", "--create")
    assert place.shape()["questions"] == {"quality": ("label_selection", ["good", "bad"], True)}


# --- Argilla 1.x ---------------------------------------------------------------------------------
USER = "--user=0c5e5b0e-0000-4000-8000-00000000000"
USERS = [f"{USER}1=anna", f"{USER}2=ben"]


def test_argilla_1_brings_its_own_settings(place: Place) -> None:
    answer = place.run(SAMPLES / "argilla_v1", "argilla_v1", "--create", *USERS)
    assert (answer["created"], answer["ignored_columns"]) == (2, [])
    assert place.shape() == {
        "fields": {"text": ("text", True), "context": ("text", False)},
        "questions": {
            "label": ("label_selection", ["yes", "no"], True),
            "rank": ("ranking", ["a", "b"], False),
            "score": ("rating", [1, 2, 3], False),
        },
        "properties": {"lang": "terms"},
        "vectors": {"v": 2},
    }
    dataset = place.dataset()
    assert dataset.guidelines == "Be kind."
    first, second = export_lines(dataset)
    assert (first["id"], first["metadata"]) == ("rec-1", {"lang": "en"})
    assert [(one["user"], one["status"]) for one in first["responses"]] == [
        *(("anna", "submitted"), ("ben", "discarded"))
    ]
    assert first["responses"][0]["values"] == {
        "label": {"value": "yes"},
        "rank": {"value": [{"value": "b", "rank": 1}, {"value": "a", "rank": 2}]},
    }
    label = {"question": "label", "value": "yes", "score": 0.5, "agent": "bert", "type": "model"}
    assert first["suggestions"][0] == label
    assert [one["question"] for one in second["suggestions"]] == ["rank"]


def test_argilla_1_without_settings_is_guessed_at(place: Place, tmp_path: Path) -> None:
    rows = (SAMPLES / "argilla_v1" / "data.jsonl").read_bytes()
    (tmp_path / "data.jsonl").write_bytes(rows)
    place.run(tmp_path, "argilla_v1", "--create", *USERS)
    questions = {name: one[0] for name, one in place.shape()["questions"].items()}
    assert questions == {"label": "label_selection", "rank": "ranking", "score": "rating"}


@pytest.mark.parametrize(
    "content",
    [b"", b"fields: 3", b"[", b"fields: []\nquestions: [{name: q}]", b"\xff\xfe", b"&a [*a]"],
)
def test_settings_that_make_no_sense_are_one_line(
    place: Place, tmp_path: Path, content: bytes
) -> None:
    write(tmp_path / "data.jsonl", {"text": "x", "q-suggestion": "y"})
    (tmp_path / "argilla.yaml").write_bytes(content)
    message, _ = place.fail(tmp_path, "argilla_v1", "--create")
    assert "argilla.yaml" in message
    assert place.count() == 0


# --- Our own form --------------------------------------------------------------------------------
def test_a_dataset_can_be_made_for_our_own_export(place: Place, tmp_path: Path) -> None:
    with enter(place.organization.id):
        factories.make_member(username="cleo")
    file = write(tmp_path / "rows.jsonl", {**FULL, "fields": {"text": FULL["fields"]["text"]}})
    place.run(file, "jsonl", "--create")
    [line] = export_lines(place.dataset())
    assert line["responses"][0]["values"] == FULL["responses"][0]["values"]


# --- Bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize("format", ["label_studio", "doccano"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (b" \n ", "The file is empty."),
        (b"id,text\n1,x\n", "The file is no JSON"),
        (b"\xff\xfe[\x00", "The file is no JSON"),
        (b"[]", "No row of the file can be read."),
        (b"[1, 2]", "row 1: not a JSON object"),
        (b'[{"color": "red"}]', "row 1: no "),
        (b'{"color": "red"}', "row 1: no "),
        (b'[{"data": {"text": "cut o', "row 1: not valid JSON, or cut off"),
        (b'[{"data": "\xff"}]', "row 0: not valid UTF-8"),
        (b"[" * 5_000, "row 1: nested too deeply"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line_and_makes_nothing(
    place: Place, tmp_path: Path, format: str, content: bytes, reason: str
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)
    message, _ = place.fail(file, format, "--create")
    assert reason in message
    assert place.count() == 0


def test_a_broken_task_is_a_reject_between_good_ones(place: Place, tmp_path: Path) -> None:
    good = [{"id": n, "data": {"text": f"text {n}"}} for n in range(3)]
    spans = {"from_name": "e", "to_name": "text", "type": "labels"}
    bad = [
        5,
        {"id": 9},
        {"data": {"text": "x"}, "annotations": 3},
        {"data": {"text": "\0"}},
        {"data": {"text": "x"}, "annotations": [{"result": [{**spans, "value": {"start": "a"}}]}]},
        {"data": {"other": "x"}},
    ]
    content = ", ".join(map(json.dumps, [good[0], *bad, good[1], good[2]]))
    file = tmp_path / "tasks.json"
    write(file, good)
    place.run(file, "label_studio", "--create")
    file.write_text(f'[{content}, {{"data": {{"text": NaN}}}}, {{}}]')
    message, answer = place.fail(file, "label_studio")
    assert message == "8 of 11 rows were rejected."
    assert (answer["updated"], answer["created"]) == (3, 0)
    assert [one["row"] for one in answer["rejects"]] == [2, 3, 4, 5, 6, 7, 10, 11]


@pytest.mark.parametrize("rest", ["", ", {", ", {]", " {}]", ', {"data": {"text": "x'])
def test_what_stands_before_the_break_is_stored(place: Place, tmp_path: Path, rest: str) -> None:
    good = [{"id": n, "data": {"text": f"text {n}"}} for n in range(3)]
    file = tmp_path / "tasks.json"
    write(file, good)
    place.run(file, "label_studio", "--create")
    file.write_text(json.dumps(good)[:-1] + rest)
    _, answer = place.fail(file, "label_studio")
    assert (answer["updated"], answer["rejected"]) == (3, 1)
    assert "nothing behind it can be read" in answer["rejects"][0]["reason"]


def test_other_mistakes_are_one_line(place: Place, tmp_path: Path) -> None:
    sample = SAMPLES / "label_studio.json"
    message, _ = place.fail(sample, "label_studio")
    assert "There is no dataset 'new'" in message
    message, _ = place.fail("-", "label_studio", "--create")
    assert "standard input" in message
    message, _ = place.fail(tmp_path, "distilabel", "--create")
    assert "no Arrow, Parquet or JSON Lines file" in message
    message, _ = place.fail(tmp_path / "nowhere", "argilla_v1", "--create")
    assert "There is no" in message
    message, _ = place.fail(tmp_path / "nowhere", "doccano", "--create")
    assert "No such file" in message
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and no more")
    message, _ = place.fail(tmp_path, "distilabel", "--create")
    assert "rows.parquet cannot be read" in message
    message, _ = place.fail(sample, "label_studio", "--create", "--workspace", "nowhere")
    assert "There is no workspace 'nowhere'" in message
    message, _ = place.fail(sample, "label_studio", "--create", "--user", "1")
    assert "--user takes NAME=VALUE" in message
    message, _ = place.fail(sample, "label_studio", "--create")
    assert "already exists" in message


def test_a_long_array_is_never_held_whole() -> None:
    """A hundred megabytes that are made while they are read."""

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = 2_000
            self.read_so_far = 0
            self.waiting = b""

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if not self.waiting and self.rest:
                self.rest -= 1
                start = b"," if self.read_so_far else b"["
                end = b"" if self.rest else b"]"
                self.waiting = start + b'{"a": "' + b"x" * 50_000 + b'"}' + end
            size = min(len(buffer), len(self.waiting))
            buffer[:size], self.waiting = self.waiting[:size], self.waiting[size:]
            self.read_so_far += size
            return size

    source = Endless()
    ahead = 0
    for count, row in enumerate(read_documents(io.BufferedReader(source, 60_000)), start=1):
        assert row.problem is None
        ahead = max(ahead, source.read_so_far - count * 50_000)
    assert count == 2_000
    assert ahead < 5_000_000


def test_an_item_longer_than_a_row_may_be_ends_the_array() -> None:
    text = b'[{"a": 1}, {"a": "' + b"x" * 40_000_000 + b'"}]'
    first, last = read_documents(io.BytesIO(text))  # type: ignore[misc]
    assert first.values == {"a": 1}
    assert "longer than 16777216 bytes" in str(last.problem)


# --- Anything at all -----------------------------------------------------------------------------
KEYS = [
    *("id", "data", "text", "label", "labels", "entities", "annotations", "predictions", "result"),
    *("type", "value", "from_name", "to_name", "choices", "taxonomy", "ranker", "start", "end"),
    *("start_offset", "end_offset", "completed_by", "meta", "generations", "ratings", "metadata"),
    *("q", "q-suggestion", "q-suggestion-metadata", "user_id", "status", "vectors", "rating"),
    *("rationales", "model_name", "score", "created_at", "was_cancelled", "external_id"),
]
WORDS = [*KEYS, "textarea", "pairwise", "number", "submitted", "", "👩"]
leaves = st.none() | st.booleans() | st.integers(-5, 99) | st.floats() | st.sampled_from(WORDS)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=25,
)
results = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["choices", "taxonomy", "labels", "ranker", "rating", "textarea"]),
        "from_name": st.sampled_from(["q", "sentiment", "entities"]),
        "value": anything,
    }
)
tasks = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries({"text": st.text(max_size=5)}),
        "annotations": st.lists(st.fixed_dictionaries({"result": st.lists(results, max_size=3)})),
        "predictions": anything,
    }
)


@pytest.mark.parametrize("format", ForeignFormat.values)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(documents=st.lists(tasks | st.dictionaries(st.sampled_from(KEYS), anything), max_size=4))
def test_nothing_falls_over_whatever_the_file_says(
    place: Place, tmp_path: Path, format: str, documents: Any
) -> None:
    with enter(place.organization.id):
        Dataset.objects.all().delete()
    for more in (["--create"], []):
        file = write(tmp_path / "rows.jsonl", *documents)
        with suppress(CommandError):
            place.run(file, format, "--response-user", "anna", *more)
