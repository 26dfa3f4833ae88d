"""Why a record was found by its words: the text, cut where a word of the search stands."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import Final

from apps.core.prepared import raw_cursor
from apps.records.text import UNSPACED, words_apart
from apps.search.text import to_tsquery_text

# Two characters for private use, which no font shows; those that a text holds itself are dropped.
START: Final = "\ue000"
STOP: Final = "\ue001"
GAP: Final = "\x1f"  # a blank that is taken out again
DROPPED: Final = str.maketrans("", "", f"{START}{STOP}{GAP}\0")
LONGEST: Final = 20_000  # characters of a text that are looked through
_RUN: Final = re.compile(f"(?:{UNSPACED})+")

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
    apart = [words_apart(text, GAP) for text in read]
    facts = {"texts": apart, "words": words, "options": _OPTIONS}
    rows = raw_cursor().execute(_MARK, facts).fetchall()
    return [
        _cut(row[0].replace(GAP, ""), plain, text[LONGEST:], _RUN.findall(typed))
        for row, plain, text in zip(rows, read, texts, strict=True)
    ]


def _plain(text: str) -> str:
    return text[:LONGEST].translate(DROPPED)


def _cut(marked: str, plain: str, rest: str, runs: Sequence[str]) -> list[Piece]:
    """The pieces of the plain text; ``marked`` is as long but for its marks.

    ``runs`` are what the search has of scripts without blanks.
    """
    pieces: list[Piece] = []
    for number, part in enumerate(marked.split(START)):
        if number == 0:
            pieces.append((part, False))
            continue
        word, _, after = part.partition(STOP)
        pieces += [(word, True), (after, False)]
    places = pairwise(accumulate((len(piece) for piece, _ in pieces), initial=0))
    whole = [(plain[start:end], hit) for (start, end), (_, hit) in zip(places, pieces, strict=True)]
    found = _joined(_of_runs(_joined(whole), runs)) if runs else whole
    return [piece for piece in [*found, (rest, False)] if piece[0]]


def _of_runs(pieces: Iterable[Piece], runs: Sequence[str]) -> Iterator[Piece]:
    """Characters that are words of their own to PostgreSQL count where they make up a run."""
    wanted = re.compile("|".join(map(re.escape, sorted(runs, key=len, reverse=True))))
    for text, hit in pieces:
        if not hit or not _RUN.fullmatch(text):
            yield text, hit
            continue
        end = 0
        for match in wanted.finditer(text):
            yield from ((text[end : match.start()], False), (match[0], True))
            end = match.end()
        yield text[end:], False


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Words that nothing stands between, as one."""
    found = (piece for piece in pieces if piece[0])
    for hit, group in groupby(found, key=itemgetter(1)):
        yield "".join(text for text, _ in group), hit
