"""What a search matches, as a set: counted, walked through, listed, in facets, with reasons."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, DatasetStatus, MetadataProperty, VectorSettings
from apps.datasets.schema import load_schema
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from apps.records.services import update_record
from apps.search import matching
from apps.search.asked import Asked, Bounds, read_text
from apps.search.facets import count_facets
from apps.search.highlight import DROPPED, START, mark_words
from apps.search.matching import Matcher, Near, unit
from apps.search.query import EVERYBODY, Viewpoint, Words
from tests import factories

# Record n points n times 10 degrees away from the first one.
ANGLES = [np.radians(10 * n) for n in range(12)]


@pytest.fixture
def dataset(organization: object) -> Dataset:
    """Twelve records; even ones say "card", the first four are suggested positive."""
    dataset = factories.make_dataset(questions=("sentiment", "genre", "quality"))
    rules = load_schema(dataset).questions
    VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=2)
    MetadataProperty.objects.create(
        dataset=dataset, name="lang", title="Lang", number=1, settings={"type": "terms"}
    )
    MetadataProperty.objects.create(
        dataset=dataset, name="size", title="Size", number=2, settings={"type": "integer"}
    )
    dataset.schema_version += 1
    dataset.save()
    items = [
        RecordInput(
            fields={"text": f"{'card' if n % 2 == 0 else 'cash'} number {n}"},
            external_id=f"{n:02}",
            metadata={"lang": "en" if n < 8 else "fr", "size": n},
            vectors={"v": [float(np.cos(angle)), float(np.sin(angle))]},
            suggestions=[
                SuggestionInput(rules["sentiment"].id, "positive", n / 11, "m", "model"),
                SuggestionInput(rules["genre"].id, ["drama", "horror"], [0.5, 0.5], "m", "model"),
            ]
            if n < 4
            else [],
        )
        for n, angle in enumerate(ANGLES)
    ]
    log_records(dataset=dataset, items=items)
    return dataset


@pytest.fixture
def me(organization: object) -> Membership:
    return factories.make_member()


def near(dataset: Dataset, cosine: float, **options: Any) -> Near:
    settings = load_schema(dataset).vectors["v"]
    return Near(settings, unit([1, 0]), cosine, **options)


def matcher(
    dataset: Dataset, text: str = "", me: Membership | None = None, **asked: Any
) -> Matcher:
    schema = load_schema(dataset)
    found, problems = read_text(schema, text, asked.get("viewpoint", EVERYBODY))
    assert problems == []
    filters = list(found.filters(me.id if me else UUID(int=1)))
    return Matcher(schema, filters, **asked)


def names(ids: Sequence[UUID]) -> list[int]:
    by_id = dict(Record.objects.values_list("id", "external_id"))
    return [int(by_id[id]) for id in ids]


def answer(dataset: Dataset, member: Membership, number: int, status: str = "submitted") -> None:
    record = Record.objects.get(dataset=dataset, external_id=f"{number:02}")
    values = {"sentiment": {"value": "negative"}, "genre": {"value": ["comedy"]}}
    save_response(record=record, annotator=member, status=status, values=values)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, range(12)),
        ({"words": Words("card")}, [0, 2, 4, 6, 8, 10]),
        ({"cosine": 0.8}, [0, 1, 2, 3]),
        ({"cosine": 0.8, "words": Words("card")}, [0, 2]),
        ({"cosine": 0.8, "words": Words("card"), "either": True}, [0, 1, 2, 3, 4, 6, 8, 10]),
        ({"cosine": -0.1, "least": True}, [10, 11]),
        ({"cosine": -1.0}, range(12)),
    ],
)
def test_counting_walking_and_listing_agree(
    dataset: Dataset, asked: dict[str, Any], expected: Sequence[int]
) -> None:
    cosine = asked.pop("cosine", None)
    least = asked.pop("least", False)
    if cosine is not None:
        asked["near"] = near(dataset, cosine, least=least)
    found = matcher(dataset, **asked)
    assert found.count() == len(expected)
    walked: list[UUID] = []
    while ids := found.ids_after(walked[-1] if walked else matching.FIRST, limit=5):
        walked += ids
    assert names(walked) == list(expected)
    listed: list[UUID] = []
    while page := found.page(
        offset=len(listed), after=listed[-1] if listed else matching.FIRST, limit=5
    ):
        listed += [hit.record_id for hit in page]
    assert sorted(names(listed)) == list(expected)
    assert len(set(listed)) == len(listed)


def test_a_ranking_says_why_each_record_is_in_it(dataset: Dataset) -> None:
    found = matcher(dataset, words=Words("card"), near=near(dataset, 0.8), either=True)
    hits = found.page(limit=20)
    told = {names([hit.record_id])[0]: (round(hit.cosine or 0, 2), hit.has_words) for hit in hits}
    assert told[0] == (1.0, True)
    assert told[1] == (0.98, False)
    assert told[10] == (-0.17, True)


def test_the_least_similar_come_first_and_a_record_is_not_like_itself(dataset: Dataset) -> None:
    found = matcher(dataset, near=near(dataset, 0.5, least=True))
    assert names([hit.record_id for hit in found.page(limit=3)]) == [11, 10, 9]
    first = Record.objects.get(external_id="00")
    found = matcher(dataset, near=near(dataset, 0.9, without=first.id))
    assert names([hit.record_id for hit in found.page(limit=9)]) == [1, 2]
    assert found.count() == 2


def test_a_ranking_is_listed_to_a_depth_and_counted_whole(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "SHOWN", 3)
    for asked in ({}, {"words": Words("card"), "either": True}):
        found = matcher(dataset, near=near(dataset, -1), **asked)
        assert len(found.page(limit=10)) == 3
        assert found.page(offset=3, limit=10) == []
        assert found.count() == 12


def test_filters_by_all_that_a_page_offers(dataset: Dataset, me: Membership) -> None:
    other = factories.make_member()
    answer(dataset, me, 0)
    answer(dataset, me, 1, "draft")
    answer(dataset, other, 2)
    for text, expected in {
        "mine=pending": range(2, 12),
        "mine=submitted&mine=draft": [0, 1],
        "status=completed": [0, 2],
        f"by={other.id}": [2],
        f"by=nobody&by={other.id}": range(2, 12),
        "by=nonsense": [],
        "suggested.sentiment=positive": range(4),
        "suggested.genre=horror&meta.lang=en": range(4),
        "answered.genre=comedy": [0, 1, 2],
        "score.sentiment.from=.1&score.sentiment.to=.2": [2],
        "meta.size.from=3&meta.lang=fr": [8, 9, 10, 11],
    }.items():
        found = matcher(dataset, text, me)
        assert names(found.ids_after(matching.FIRST, limit=20)) == list(expected), text


def facets(dataset: Dataset, me: Membership, text: str = "", **options: Any) -> dict[str, Any]:
    viewpoint = options.pop("viewpoint", EVERYBODY)
    asked, _ = read_text(load_schema(dataset), text, viewpoint)

    def matching_without(key: str) -> Matcher:
        left = asked.without(key) if key else asked
        filters = list(left.filters(me.id))
        return Matcher(load_schema(dataset), filters, viewpoint=viewpoint, **options)

    return count_facets(matching_without, me=me.id, filtered=asked.filter_keys)


def test_facets_count_what_matches(
    dataset: Dataset, me: Membership, django_assert_num_queries: Any
) -> None:
    other = factories.make_member()
    answer(dataset, me, 0)
    answer(dataset, other, 0)
    answer(dataset, other, 2)
    load_schema(dataset).questions, load_schema(dataset).properties
    with django_assert_num_queries(1):
        counts = facets(dataset, me)
    assert counts == {
        "total": {"": 12},
        "status": {"pending": 10, "completed": 2},
        "mine": {"pending": 11, "submitted": 1},
        "by": {"nobody": 10, str(other.id): 2, str(me.id): 1},
        "suggested.sentiment": {"positive": 4},
        "suggested.genre": {"drama": 4, "horror": 4},
        "answered.sentiment": {"negative": 2},
        "answered.genre": {"comedy": 2},
        "score.sentiment": {"0": 2, "1": 1, "2": 1},
        "score.genre": {"5": 4},
        "meta.lang": {"en": 8, "fr": 4},
    }
    with django_assert_num_queries(2):
        counts = facets(dataset, me, "meta.lang=fr")
    assert counts["meta.lang"] == {"en": 8, "fr": 4}
    assert counts["total"] == {"": 4}
    assert "suggested.sentiment" not in counts
    assert facets(dataset, me, words=Words("card"))["meta.lang"] == {"en": 4, "fr": 2}


def test_facets_of_an_annotator_count_their_own_answers(dataset: Dataset, me: Membership) -> None:
    answer(dataset, factories.make_member(), 0)
    answer(dataset, me, 1)
    counts = facets(dataset, me, viewpoint=Viewpoint(me.id, frozenset({"lang"})))
    assert "by" not in counts
    assert "meta.lang" not in counts
    assert counts["answered.genre"] == {"comedy": 1}


def test_records_can_be_named_and_later_ones_left_out(dataset: Dataset) -> None:
    ids = list(Record.objects.in_order().values_list("id", flat=True))
    assert names(matcher(dataset, only=ids[2:5]).ids_after(matching.FIRST, limit=9)) == [2, 3, 4]
    assert matcher(dataset, only=ids[2:5], upto=ids[3]).count() == 2
    assert matcher(dataset, "meta.lang=fr", upto=ids[9]).count() == 2


def test_a_draft_dataset_has_nothing(dataset: Dataset) -> None:
    Dataset.objects.update(status=DatasetStatus.DRAFT)
    dataset.refresh_from_db()
    found = matcher(dataset)
    assert (found.count(), found.page(limit=5)) == (0, [])


# --- As text -------------------------------------------------------------------------------------


def test_a_search_comes_back_from_its_text(dataset: Dataset) -> None:
    schema = load_schema(dataset)
    text = (
        "q=card%20stolen&mode=meaning&like=00000000-0000-7000-8000-000000000001&vector=v&least=1"
        "&cosine=.5&mine=draft&mine=pending&suggested.genre=drama&meta.size.from=3&meta.lang=fr"
    )
    asked, problems = read_text(schema, text, EVERYBODY)
    assert problems == []
    assert read_text(schema, asked.text, EVERYBODY) == (asked, [])
    assert asked.without("mine").filter_keys == ["suggested.genre", "meta.lang", "meta.size"]


@pytest.mark.parametrize("typed", ["1712345678", "3.14159265", "-0.1234567", "123456789012345"])
def test_the_ends_of_a_range_stay_as_exact_as_typed(dataset: Dataset, typed: str) -> None:
    schema = load_schema(dataset)
    asked, _ = read_text(schema, f"meta.size.from={typed}&score.sentiment.to={typed}", EVERYBODY)
    assert asked.ranges == {"meta.size": Bounds(ge=typed), "score.sentiment": Bounds(le=typed)}
    assert read_text(schema, asked.text, EVERYBODY)[0] == asked


def test_a_range_ends_at_its_last_digit(dataset: Dataset, me: Membership) -> None:
    """Two records a second apart, in seconds since 1970."""
    for index, record in enumerate(Record.objects.in_order()[:2]):
        update_record(record=record, metadata={"size": 1712345678 + index}, sets_metadata=True)
    found = matcher(dataset, "meta.size.from=1712345679", me)
    assert names(found.ids_after(matching.FIRST, limit=20)) == [1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mode=magic", "magic"),
        ("like=8842", "8842"),
        ("vector=gone", "gone"),
        ("cosine=very", "very"),
        ("cosine=nan", "nan"),
        ("suggested.gone=x", "gone"),
        ("answered.gone=x", "gone"),
        ("meta.gone=x", "gone"),
        ("score.gone.from=1", "gone"),
        ("meta.size.from=tall", "tall"),
        ("meta.size.from=3&meta.size.to=2", "end before"),
        ("mine=lost", "lost"),
        ("status=lost", "lost"),
        ("meta.lang=" + "&meta.lang=".join(map(str, range(300))), "250"),
        (f"q={'%E8%AA%9E' * 1_000}&meta.lang={'x' * 8_000}&status=pending", "too long"),
        ("x" * 16_001, "too long"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_said(dataset: Dataset, text: str, told: str) -> None:
    asked, problems = read_text(load_schema(dataset), text, EVERYBODY)
    assert any(told in problem for problem in problems)
    Matcher(load_schema(dataset), list(asked.filters(UUID(int=1)))).count()


def test_unknown_names_and_empty_values_are_passed_over(dataset: Dataset) -> None:
    viewpoint = Viewpoint(UUID(int=1), frozenset({"lang"}))
    text = "utm=x&q=&page=2&suggested.=x&by=me&a\0b=%00&suggested.quality=4"
    asked, problems = read_text(load_schema(dataset), text, viewpoint)
    assert (asked, problems) == (Asked(values={"suggested.quality": ("4",)}), [])
    assert read_text(load_schema(dataset), "meta.lang=en", viewpoint)[1] != []


# --- Highlights ----------------------------------------------------------------------------------


def marked(text: str, typed: str) -> list[str]:
    (pieces,) = mark_words([text], typed)
    assert "".join(piece for piece, _ in pieces) == text.translate(DROPPED)
    return [piece for piece, hit in pieces if hit]


@pytest.mark.parametrize(
    ("text", "typed", "expected"),
    [
        ("My card was stolen, my Card!", "card", ["card", "Card"]),
        ("My card was stolen", '"card was" | -gone', ["card", "was"]),
        ("payments and pay", "pay*", ["payments", "pay"]),
        ("<b>card</b> & co", "card", ["card"]),
        ("he/she, a@b-c", "she | b", ["she", "b"]),
        ("AT&T; R&D", "at&t", ["AT", "T"]),
        ("我喜欢这个电影。打电话，影电影片", "电影", ["电影", "电影"]),
        ("私はiPhoneが好き", "iphone | 私", ["私", "iPhone"]),
        ("ฉันชอบหนังเรื่องนี้", "หนัง", ["หนัง"]),
        (f"a {START}card", "card", ["card"]),
        ("a\x1f card", "card", ["card"]),
        ("nothing", "-", []),
        ("", "card", []),
    ],
)
@pytest.mark.django_db
def test_words_are_marked_where_they_stand(text: str, typed: str, expected: list[str]) -> None:
    assert marked(text, typed) == expected


@pytest.mark.django_db
def test_the_end_of_a_long_text_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.search.highlight.LONGEST", 10)
    (pieces,) = mark_words(["card 56789 card"], "card")
    assert pieces == [("card", True), (" 56789", False), (" card", False)]
