"""Why a record was found by its words: the text, cut where a word of the search stands."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from apps.core.prepared import raw_cursor
from apps.records.text import words_apart
from apps.search.text import to_tsquery_text

# Two characters for private use, which no font shows; those that a text holds itself are dropped.
START: Final = "\ue000"
STOP: Final = "\ue001"
LONGEST: Final = 20_000  # characters of a text that are looked through

_MARK: Final = """
SELECT ts_headline('simple', one, to_tsquery('simple', %(words)s), %(options)s)
FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS given (one, place) ORDER BY place
"""
_OPTIONS: Final = f"HighlightAll=true, StartSel={START}, StopSel={STOP}"

Piece = tuple[str, bool]


def mark_words(texts: Sequence[str], typed: str) -> list[list[Piece]]:
    """Each text as pieces, ``(text, whether it is a word of the search)``. One statement."""
    words = to_tsquery_text(typed)
    if not texts or not words:
        return [[(text, False)] for text in texts]
    read = [_plain(text) for text in texts]
    apart = [words_apart(text) for text in read]
    facts = {"texts": apart, "words": words, "options": _OPTIONS}
    rows = raw_cursor().execute(_MARK, facts).fetchall()
    return [
        _cut(row[0], plain, text[LONGEST:])
        for row, plain, text in zip(rows, read, texts, strict=True)
    ]


def _plain(text: str) -> str:
    return text[:LONGEST].replace(START, "").replace(STOP, "").replace("\0", "")


def _cut(marked: str, plain: str, rest: str) -> list[Piece]:
    """The pieces of the plain text; ``marked`` is as long but for its marks."""
    pieces: list[Piece] = []
    for number, part in enumerate(marked.split(START)):
        if number == 0:
            pieces.append((part, False))
            continue
        word, _, after = part.partition(STOP)
        pieces += [(word, True), (after, False)]
    places = pairwise(accumulate((len(piece) for piece, _ in pieces), initial=0))
    whole = [(plain[start:end], hit) for (start, end), (_, hit) in zip(places, pieces, strict=True)]
    return [piece for piece in [*whole, (rest, False)] if piece[0]]
