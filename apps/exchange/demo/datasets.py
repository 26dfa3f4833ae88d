"""What the demo's datasets look like, and where the columns of the sample files go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A field, a question or a metadata property; ``settings`` as on the wire."""

    name: str
    title: str
    settings: Mapping[str, Any]
    required: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True)
class DemoDataset:
    """A dataset, and the sample file of the same name that fills it."""

    name: str
    fields: Sequence[Part]
    questions: Sequence[Part]
    properties: Sequence[Part]
    columns: Columns
    min_submitted: int = 1
    learns: Sequence[str] = field(default=())  # questions with few-shot suggestions


def _labels(*texts: str) -> list[dict[str, str]]:
    return [{"value": text.lower(), "text": text} for text in texts]


def _text(*, markdown: bool = False) -> dict[str, Any]:
    return {"type": "text", "use_markdown": markdown}


_ONE_TO_FIVE: Final = {"type": "rating", "options": [{"value": n} for n in range(1, 6)]}
_GENRES: Final = _labels(
    *("Drama", "Comedy", "Science fiction", "Thriller"),
    *("Romance", "Animation", "Horror", "Documentary"),
)

FILM_REVIEWS: Final = DemoDataset(
    name="film-reviews",
    min_submitted=2,
    fields=[
        Part("title", "Film", _text()),
        Part("text", "Review", _text(), required=True),
    ],
    questions=[
        Part(
            "sentiment",
            "What does the writer think of the film?",
            {"type": "label_selection", "options": _labels("Positive", "Negative", "Mixed")},
            required=True,
        ),
        Part(
            "genre",
            "What kind of film is it?",
            {"type": "multi_label_selection", "options": _GENRES},
            required=True,
            description="Every genre that the review gives evidence for.",
        ),
        Part("comment", "Anything that made you hesitate?", _text()),
    ],
    properties=[
        Part("source", "Source", {"type": "terms", "values": ["forum", "newsletter", "app"]}),
        Part("year", "Year of the film", {"type": "integer"}),
        Part("certainty", "Certainty of the source", {"type": "float", "min": 0, "max": 1}),
    ],
    columns={
        "title": ["field:title"],
        "text": ["field:text"],
        "sentiment": ["ignore"],
        "genre": ["ignore"],
    },
    # Not sentiment: its words are too subtle for 60 examples, and a poor suggestion misleads.
    learns=["genre"],
)

RAG_ANSWERS: Final = DemoDataset(
    name="rag-answers",
    fields=[
        Part("user-message", "Customer", _text(), required=True),
        Part("context", "Passage", _text(markdown=True), required=True),
        Part("response", "Answer", _text(markdown=True), required=True),
    ],
    questions=[
        Part("rating", "How good is the answer?", _ONE_TO_FIVE, required=True),
        Part(
            "correction",
            "The answer as it should be",
            _text(markdown=True),
            required=True,
            description="Change as little as possible.",
        ),
    ],
    properties=[
        Part("language", "Language", {"type": "terms"}),
        Part("latency-ms", "Latency in ms", {"type": "integer", "min": 0}),
    ],
    columns={
        "response": ["field:response", "suggestion:correction"],
        "model": ["suggestion:correction.agent"],
        "kind": ["suggestion:correction.type"],
        "rating": ["ignore"],
        "correction": ["ignore"],
    },
)

RESPONSE_PAIRS: Final = DemoDataset(
    name="response-pairs",
    fields=[
        Part("prompt", "Prompt", _text(markdown=True), required=True),
        Part("response-a", "Answer A", _text(markdown=True), required=True),
        Part("response-b", "Answer B", _text(markdown=True), required=True),
    ],
    questions=[
        Part(
            "preference",
            "Which answer is better?",
            {
                "type": "ranking",
                "options": [
                    {"value": "response-a", "text": "Answer A"},
                    {"value": "response-b", "text": "Answer B"},
                ],
            },
            required=True,
            description="Equally good answers share a rank.",
        ),
        Part("reason", "Why?", _text()),
    ],
    properties=[
        Part("model-a", "Model of A", {"type": "terms"}),
        Part("model-b", "Model of B", {"type": "terms"}),
        Part("topic", "Topic", {"type": "terms"}),
    ],
    columns={"better": ["ignore"]},
)

CONVERSATIONS: Final = DemoDataset(
    name="conversations",
    fields=[
        Part("conversation", "Conversation", {"type": "chat", "use_markdown": True}, required=True)
    ],
    questions=[
        Part("helpful", "How much did the assistant help?", _ONE_TO_FIVE, required=True),
        Part("comment", "What could have been better?", _text()),
    ],
    properties=[],
    columns={"helpful": ["ignore"]},
)

DATASETS: Final = [FILM_REVIEWS, RAG_ANSWERS, RESPONSE_PAIRS, CONVERSATIONS]
