"""Answers that the demo's annotators have given already, from the labels in the sample files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.exchange.demo.datasets import (
    CONVERSATIONS,
    FILM_REVIEWS,
    RAG_ANSWERS,
    RESPONSE_PAIRS,
    Columns,
)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one annotator has answered: the rows' ids with answers, and where they go."""

    username: str
    columns: Columns
    rows: Sequence[Values]


def given_answers(dataset: str, rows: Iterable[Values]) -> Iterator[Answers]:
    """The answers in the dataset of this name; ``rows`` are those of its sample file."""
    rows = list(rows)
    if dataset == FILM_REVIEWS.name:
        films = {"sentiment": ["response:sentiment"], "genre": ["response:genre"]}
        yield Answers("anna", films, [_only(row, films) for row in rows[:68]])
        yield Answers("ben", films, [_as_ben(n, row) for n, row in enumerate(rows[:60])])
        yield Answers("cleo", films, [_only(row, films) for row in rows[68:74]])
    elif dataset == RAG_ANSWERS.name:
        corrected = {"rating": ["response:rating"], "correction": ["response:correction"]}
        yield Answers("anna", corrected, [_only(row, corrected) for row in rows[:8]])
    elif dataset == RESPONSE_PAIRS.name:
        ranked = {"ranking": ["response:preference"]}
        yield Answers("ben", ranked, [_ranked(row) for row in rows[:10]])
    elif dataset == CONVERSATIONS.name:
        rated = {"helpful": ["response:helpful"]}
        yield Answers("cleo", rated, [_only(row, rated) for row in rows[:4]])


def _only(row: Values, columns: Columns) -> dict[str, Any]:
    return {name: row[name] for name in ("id", *columns)}


def _as_ben(number: int, row: Values) -> Values:
    """Ben sees some reviews differently, so that there is something to agree about."""
    sentiment, genre = row["sentiment"], row["genre"]
    if number % 8 == 5:
        sentiment = "positive" if sentiment == "mixed" else "mixed"
    if number % 6 == 2:
        genre = genre[:1]
    return {"id": row["id"], "sentiment": sentiment, "genre": genre}


_RANKS: Final = {"a": (1, 2), "b": (2, 1), "tie": (1, 1)}


def _ranked(row: Values) -> Values:
    pairs = zip(("response-a", "response-b"), _RANKS[row["better"]], strict=True)
    return {"id": row["id"], "ranking": [{"value": value, "rank": rank} for value, rank in pairs]}
