"""What is written is read, and written again is the same: any text, any value, every type."""

import itertools
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from apps.datasets.models import Dataset, Field, MetadataProperty, VectorSettings
from tests import factories
from tests.api.conftest import Api, Cast

DIMENSIONS: Final = 5
PERSON: Final = "person"
WILD: Final = [
    "👩‍👩‍👧‍👦",
    "𝔘𝔫𝔦",
    "שלום",
    "مرحبا",
    "e\u0301",
    "\u202eabc\u202c",
    "\U0010fffd",
    "\r\n",
    "🇫🇷",
]
# Any text that JSON and PostgreSQL can hold, with much that is hard.
TEXTS: Final = st.lists(
    st.sampled_from(WILD)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    max_size=6,
).map("".join)
KEYS: Final = TEXTS.filter(bool)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
CHATS: Final = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": KEYS}),
    max_size=4,
)
IMAGES: Final = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="])
FLOATS32: Final = st.floats(-1e6, 1e6, width=32)


@st.composite
def spans(draw: st.DrawFn, text: str) -> list[dict[str, Any]]:
    """Spans of code points that may touch but not overlap."""
    if not text:
        return []
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pairs = itertools.pairwise(cuts)
    return [{"label": PERSON, "start": start, "end": end} for start, end in pairs]


@st.composite
def ranking(draw: st.DrawFn) -> list[dict[str, Any]]:
    order = draw(st.permutations(["a", "b", "c"]))
    ranks = sorted(draw(st.lists(st.integers(1, 3), min_size=3, max_size=3)))
    return [{"value": value, "rank": rank} for value, rank in zip(order, ranks, strict=True)]


@st.composite
def values(draw: st.DrawFn, text: str) -> dict[str, Any]:
    """A value for each question."""
    return {
        "sentiment": draw(st.sampled_from(["positive", "negative", "mixed"])),
        "genre": draw(st.lists(st.sampled_from(["comedy", "drama"]), min_size=1, unique=True)),
        "quality": draw(st.integers(1, 5)),
        "order": draw(ranking()),
        "comment": draw(TEXTS),
        "entities": draw(spans(text)),
    }


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record as a bulk takes it, its suggestions and answers by the question's name."""
    text = draw(TEXTS)
    fields: dict[str, Any] = {"text": text}
    fields |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "talk": CHATS,
                "picture": IMAGES,
                "card": st.dictionaries(TEXTS, JSON, max_size=4),
            },
        )
    )
    metadata = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "lang": KEYS | st.lists(KEYS, min_size=1, max_size=3, unique=True),
                "words": st.integers(-(2**31), 2**31),
                "share": st.floats(-1e308, 1e308),
                "extra": JSON,
            },
        )
    )
    vector = draw(st.lists(FLOATS32, min_size=DIMENSIONS, max_size=DIMENSIONS))
    return {
        "fields": fields,
        "metadata": metadata,
        "vectors": {"v": vector},
        "suggestions": draw(values(text)),
        "answers": draw(values(text)),
    }


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    """Every type of field, question and property, and a vector."""
    with cast.inside():
        dataset = factories.make_dataset(
            cast.workspace, questions=list(factories.QUESTIONS), allow_extra_metadata=True
        )
        for name, type_ in (("talk", "chat"), ("picture", "image"), ("card", "custom")):
            settings = {"type": type_, "template": "x"} if type_ == "custom" else {"type": type_}
            Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
        for number, (name, type_) in enumerate(
            (("lang", "terms"), ("words", "integer"), ("share", "float")), start=1
        ):
            MetadataProperty.objects.create(
                dataset=dataset, name=name, title=name, number=number, settings={"type": type_}
            )
        VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=DIMENSIONS)
    return dataset


def sent(record: dict[str, Any], ids: dict[str, str], user_id: str) -> dict[str, Any]:
    """The record as the wire has it."""
    suggestions = [
        {"question_id": ids[name], "value": value, "agent": "m", "type": "model"}
        for name, value in record["suggestions"].items()
    ]
    answers = {name: {"value": value} for name, value in record["answers"].items()}
    response = {"user_id": user_id, "status": "submitted", "values": answers}
    kept = {name: record[name] for name in ("fields", "metadata", "vectors")}
    return {**kept, "suggestions": suggestions, "responses": [response]}


def read_back(found: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What was read, in the form of what was made up."""
    (response,) = found["responses"]
    metadata = found["metadata"]
    if "share" in metadata:  # 1e16 comes back as 10000000000000000: the same number in JSON
        metadata |= {"share": float(metadata["share"])}
    return {
        "fields": found["fields"],
        "metadata": metadata,
        "vectors": found["vectors"],
        "suggestions": {names[s["question_id"]]: s["value"] for s in found["suggestions"]},
        "answers": {name: answer["value"] for name, answer in response["values"].items()},
    }


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(batch=st.lists(records(), min_size=1, max_size=3))
def test_written_read_and_written_again(
    cast: Cast, dataset: Dataset, batch: list[dict[str, Any]]
) -> None:
    owner = cast["owner"]
    questions = owner.get(f"/datasets/{dataset.id}/questions").json()["items"]
    ids = {question["name"]: question["id"] for question in questions}
    names = {id: name for name, id in ids.items()}
    user_id = str(cast.id("annotator_in"))
    items = [sent(record, ids, user_id) for record in batch]
    made = write(owner, dataset, items)
    expected = [in_float32(record) for record in batch]
    assert [read_back(found, names) for found in made] == expected

    first = [read(owner, found["id"]) for found in made]
    assert [read_back(found, names) for found in first] == expected
    again = [sent(read_back(found, names), ids, user_id) | {"id": found["id"]} for found in first]
    write(owner, dataset, again)
    second = [read(owner, found["id"]) for found in made]
    assert [read_back(found, names) for found in second] == expected
    assert [found["external_id"] for found in second] == [found["external_id"] for found in made]


def write(owner: Api, dataset: Dataset, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = owner.put(f"/datasets/{dataset.id}/records/bulk", {"items": items})
    assert answer.status_code == 200, (answer.content, items)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def read(owner: Api, id: str) -> dict[str, Any]:
    found: dict[str, Any] = owner.get(f"/records/{id}").json()
    return found


def in_float32(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its vector as it is kept."""
    vector = np.array(record["vectors"]["v"], dtype=np.float32)
    return record | {"vectors": {"v": pytest.approx(vector.tolist(), rel=1e-6, abs=1e-30)}}
