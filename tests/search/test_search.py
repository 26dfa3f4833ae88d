"""Pages of a search, where they go beyond what is ranked or gathered."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Field
from apps.datasets.schema import load_schema
from apps.records.bulk import upsert_records
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.search import search
from apps.search.query import RecordScope, Sort, Terms, Words
from apps.search.search import Found, Page, search_records
from tests.factories import make_member

PENDING = Terms(RecordScope("status"), ["pending"])


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    """Twelve records; ``word`` stands in all, the shorter the text the higher its score."""
    dataset = make_dataset()
    items = [
        RecordInput(fields={"text": f"word {'more ' * (12 - n)}"}, external_id=f"{n:02}")
        for n in range(12)
    ]
    upsert_records(dataset=dataset, items=items)
    return dataset


def ask(dataset: Dataset, **asked: Any) -> Found:
    return search_records(schema=load_schema(dataset), **asked)


def names(found: Found) -> list[str]:
    by_id = dict(Record.objects.values_list("id", "external_id"))
    return [by_id[id] for id, _ in found.hits]


def everything(dataset: Dataset, size: int, **asked: Any) -> list[tuple[str, float | None]]:
    """All pages, one after the other."""
    whole: list[tuple[str, float | None]] = []
    for offset in range(0, 15, size):
        found = ask(dataset, page=Page(offset, size), **asked)
        assert found.total == 12
        whole += zip(names(found), [score for _, score in found.hits], strict=True)
    return whole


@pytest.mark.parametrize("size", [1, 4, 5, 15])
@pytest.mark.parametrize("ranked", [3, 6, 12, 100])
def test_the_first_matches_are_ranked_and_the_others_follow(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, size: int, ranked: int
) -> None:
    monkeypatch.setattr(search, "RANKED", ranked)
    whole = everything(dataset, size, words=Words("word"))
    in_order = [f"{n:02}" for n in range(12)]
    first = min(ranked, 12)
    assert [name for name, _ in whole] == in_order[:first][::-1] + in_order[first:]
    scores = [score for _, score in whole]
    assert None not in scores[:first]
    assert set(scores[first:]) <= {None}


@pytest.mark.parametrize("ranked", [3, 100])
def test_a_filter_is_asked_of_the_words_or_the_other_way_round(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, ranked: int
) -> None:
    monkeypatch.setattr(search, "RANKED", ranked)
    whole = everything(dataset, 5, words=Words("word"), filters=[PENDING])
    assert [name for name, _ in whole] == [f"{n:02}" for n in reversed(range(12))]
    none = Terms(RecordScope("status"), ["completed"])
    assert ask(dataset, words=Words("word"), filters=[none]) == Found(0, [])


@pytest.mark.parametrize("few", [3, 100])
def test_pages_of_a_filter_are_gathered_or_read_off_the_index(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    whole = everything(dataset, 5, filters=[PENDING])
    assert whole == [(f"{n:02}", None) for n in range(12)]


def test_equal_scores_are_shuffled_for_a_member(dataset: Dataset) -> None:
    member = make_member()
    Record.objects.filter(dataset=dataset).first()
    found = [ask(dataset, words=Words("-absent"), shuffled_for=member.id) for _ in range(2)]
    assert found[0] == found[1]
    assert names(found[0]) != sorted(names(found[0]))
    assert names(ask(dataset, words=Words("-absent"))) == sorted(names(found[0]))


def test_fields_beyond_the_fourth_weight_are_looked_at_one_by_one(
    make_dataset: Callable[..., Dataset],
) -> None:
    dataset = make_dataset()
    shapes = {"b": "text", "picture": "image", "c": "chat", "d": "text", "e": "custom", "f": "text"}
    for name, type in shapes.items():
        settings = {"type": type, "template": "x"}
        Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
    fields = {
        "text": "alpha",
        "b": "beta",
        "picture": "https://example.com/gamma.png",
        "c": [{"role": "user", "content": "delta"}],
        "d": "epsilon zeta",
        "e": {"key": {"inner": ["eta", 7]}},
        "f": "theta it's",
    }
    upsert_records(dataset=dataset, items=[RecordInput(fields=fields)])
    for word, field in (
        ("alpha", "text"),
        ("beta", "b"),
        ("delta", "c"),
        ("user", "c"),
        ('"epsilon zeta"', "d"),
        ("eta", "e"),
        ("inner", "e"),
        ("7", "e"),
        ("theta", "f"),
        ("it's -eta", "f"),
    ):
        assert ask(dataset, words=Words(word)).total == (0 if "-" in word else 1), word
        for name in fields:
            found = ask(dataset, words=Words(word, name))
            assert found.total == (name == field), (word, name)
    assert ask(dataset, words=Words("gamma")).total == 0
    assert ask(dataset, words=Words("!!", "f")).total == 0
    sort = [Sort(RecordScope("inserted_at"))]
    assert ask(dataset, words=Words("theta", "f"), sort=sort).total == 1
    with pytest.raises(InvalidError, match="Field `g` not found"):
        ask(dataset, words=Words("x", "g"))


JOINED = (
    "He/she said: self-service after covid-19, at -5 degrees. Mail john.doe@example.org or see"
    " https://example.com/some/path?q=word, in <b>bold</b> <and unusual>."
)


@pytest.mark.parametrize("field", [None, "text", "fifth"])
def test_joined_words_are_found_one_by_one(
    make_dataset: Callable[..., Dataset], field: str | None
) -> None:
    dataset = make_dataset()
    for name in ("second", "third", "fourth", "fifth"):
        settings = {"type": "text", "use_markdown": False}
        Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
    fields = {"text": "-", field or "text": JOINED}
    upsert_records(dataset=dataset, items=[RecordInput(fields=fields, external_id="it")])
    for typed in (
        *("she", "he/she", '"he she"', "service", "self-service", "serv*", "19", "covid-19", "5"),
        *(
            "john.doe",
            "example.org",
            "john.doe@example.org",
            "example.com",
            "path",
            "word",
            "https",
        ),
        *("bold", "<b>bold</b>", "unusual", "(she | he) -her"),
    ):
        assert names(ask(dataset, words=Words(typed, field))) == ["it"], typed
    for typed in ("her", '"she he"', "-she", "-/she", "-path"):
        assert names(ask(dataset, words=Words(typed, field))) == [], typed


UNSPACED = {
    "zh": "我喜欢这个电影，iPhone手机也好",
    "ja": "私は東京に住んでいます。コーヒーが好き",
    "th": "ฉันชอบหนังเรื่องนี้",
    "ko": "나는 학교에서 공부한다",
    "amp": "AT&T; R&D",
}


@pytest.mark.parametrize("field", [None, "text", "fifth"])
@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("电影", "zh"),
        ("影电", ""),
        ("喜欢 电影", "zh"),
        ("iphone", "zh"),
        ("手机", "zh"),
        ("東京", "ja"),
        ("京東", ""),
        ("コーヒー", "ja"),
        ("です", ""),
        ("หนัง", "th"),
        ("หนง", ""),
        ("학교", ""),
        ("학교*", "ko"),
        ("AT&T", "amp"),
        ("R&D", "amp"),
        ("-电影 -東京 -หนัง -d", "ko"),
    ],
)
def test_words_are_found_where_none_is_set_apart(
    make_dataset: Callable[..., Dataset], field: str | None, typed: str, found: str
) -> None:
    dataset = make_dataset()
    for name in ("second", "third", "fourth", "fifth"):
        settings = {"type": "text", "use_markdown": False}
        Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
    items = [
        RecordInput(fields={"text": "-", field or "text": text}, external_id=name)
        for name, text in UNSPACED.items()
    ]
    upsert_records(dataset=dataset, items=items)
    assert names(ask(dataset, words=Words(typed, field))) == ([found] if found else [])
