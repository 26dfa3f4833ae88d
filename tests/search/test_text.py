"""From what people type to what PostgreSQL is asked."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.records.text import words_apart
from apps.search.text import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, to_tsquery_text


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("", ""),
        ("cash", "'cash'"),
        ("card payment", "('card' & 'payment')"),
        ("cash + negative", "('cash' & 'negative')"),
        ("a|b c", "(('a' | 'b') & 'c')"),
        ("a b|c", "(('a' & 'b') | 'c')"),
        ("a (b|c)", "('a' & ('b' | 'c'))"),
        ("a | + b", "('a' | 'b')"),
        ("| a", "'a'"),
        ("a |", "'a'"),
        ("-a", "!'a'"),
        ("--a", "'a'"),
        ("- a", "'a'"),
        ("-(a b)", "!('a' & 'b')"),
        ("well-known", "'well known'"),
        ("he/she", "'he she'"),
        ("AT&T", "'AT T'"),
        ("電影 x", "('電  影' & 'x')"),
        ("หนัง*", "'ห  นั  ง':*"),
        ("학교", "'학교'"),
        ("/ a", "'a'"),
        ('"lost card"', "'lost card'"),
        ('"lost card"~2 x', "('lost card' & 'x')"),
        ('-"lost card"', "!'lost card'"),
        ('"open', "'open'"),
        ('""', ""),
        ("pay*", "'pay':*"),
        ("pay*ment", "'pay*ment'"),
        ("pay~1", "'pay'"),
        (r"pay\*", r"'pay*'"),
        (r"\-a", "'a'"),
        (r"a\ b", "'a b'"),
        ("it's", "'it''s'"),
        (r"a\\", r"'a\\'"),
        ("((a", "'a'"),
        ("a))", "'a'"),
        ("()", ""),
        ("-()", ""),
        (") a (", "'a'"),
        ("a\0b", "('a' & 'b')"),
        ("'a' & !b <-> c:*", "((('''a''' & '!b') & 'c:':*)"[1:]),
    ],
)
def test_translation(typed: str, query: str) -> None:
    assert to_tsquery_text(typed) == query


def test_a_weight_stands_at_every_word() -> None:
    assert to_tsquery_text('a -b* "c d"', weight="B") == "(('a':B & !'b':*B) & 'c d':B)"


def test_what_is_too_much_is_ignored() -> None:
    assert to_tsquery_text("a " * 300).count("'a'") == MAX_TERMS
    assert to_tsquery_text("x" * 20_000) == f"'{'x' * MAX_LENGTH}'"
    deep = MAX_DEPTH + 50
    assert to_tsquery_text("(" * deep + "a" + ")" * deep) == "'a'"


def lexemes(query: str) -> list[str]:
    """What PostgreSQL makes of the query; fails if it is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_tsquery('simple', %s)::text", [query])
        (text,) = cursor.fetchone()
    return [part for part in str(text).split("'") if part.startswith("ds:")]


typed = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab'\"\\()|+-*~: \n!&<>019ds./@#", max_size=60),
    st.lists(
        st.sampled_from(
            [
                "ds:0123456789abcdef",
                "'ds:1'",
                '"ds:1',
                "ds:*",
                "\\",
                "(",
                ")",
                "-",
                "|",
                "a*",
                "~1",
                "http://ds:1/ds:2",
                "x" * 3000,
                "é",
                "日本",
                "\U0001f680",
                "<b>",
                "&amp;",
            ]
        ),
        max_size=12,
    ).map(" ".join),
)


@pytest.mark.django_db
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(typed=typed, weight=st.sampled_from(["", "A", "D"]))
def test_whatever_is_typed_is_a_query_without_the_lexeme_of_a_dataset(
    typed: str, weight: str
) -> None:
    if any("\ud800" <= character <= "\udfff" for character in typed):
        return  # refused where text comes in
    assert lexemes(to_tsquery_text(typed, weight=weight)) == []


@pytest.mark.django_db
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(word=st.text(alphabet="abzABZäÖéñßкЖ日本語09", min_size=1, max_size=20))
def test_a_word_finds_the_text_that_has_it(word: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_tsvector('simple', %s) @@ to_tsquery('simple', %s)",
            [words_apart(f"before {word} after"), to_tsquery_text(word)],
        )
        assert cursor.fetchone() == (True,)
