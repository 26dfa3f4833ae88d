"""Filters note what they find, on records and on drafts, and delete nothing."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.drafts.editing import Edit, edit_draft
from apps.drafts.inputs import DraftInput, Origin
from apps.drafts.models import Draft
from apps.drafts.writing import write_drafts
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.pipelines.languages import language_of
from apps.pipelines.recipes.base import Answered, Usage
from apps.pipelines.recipes.filters import Finding
from apps.pipelines.recipes.registry import load
from apps.pipelines.recipes.self_check import is_supported
from apps.records.models import Record
from tests.factories import make_member
from tests.llm_server.controls import LlmServer
from tests.pipelines.worlds import context_for, finish, make_answers, metadata_of, start

CHECK = {"field": "answer_2", "context": "text"}


@pytest.fixture
def answers(organization: object) -> Dataset:
    return make_answers()


@pytest.fixture
def job(answers: Dataset) -> Job:
    return Job.objects.create(kind="recipe", dataset_id=answers.id, params={})


@pytest.fixture
def drafts(answers: Dataset, job: Job) -> list[Draft]:
    texts = ["A card can be blocked in the app.", "Kurz.", "Send me your PIN: 1234."]
    return write_drafts(
        dataset=answers,
        origin=Origin(job.id, "like_this", "a/b@c"),
        drafts=[DraftInput(seq=n, fields={"text": text}) for n, text in enumerate(texts)],
    )


def claims(*said: tuple[str, bool, str]) -> dict[str, Any]:
    names = ("claim", "supported", "evidence_quote")
    return {"claims": [dict(zip(names, one, strict=True)) for one in said]}


# --- Against a context ---------------------------------------------------------------------------
def test_evidence_that_is_not_there_supports_nothing(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    said = claims(("It can be lost.", True, "a lost card"), ("It is free.", True, "free of charge"))
    llm_server.script("lost card", answer=said)
    llm_server.script("direct debit", answer=claims(("It is an order.", False, "")))
    llm_server.script("pay abroad", answer=claims(("One may.", True, "May I pay abroad?")))
    job = finish("self_check", answers, provider, params=CHECK)
    assert job.state == "done", job.error_sample
    first, second, third = metadata_of(answers)
    assert first == {
        "self_check_keep": "no",
        "self_check_score": 0.5,
        "self_check_reason": "Not supported: It is free.",
        "self_check_claims": 2,
    }
    assert (second["self_check_keep"], second["self_check_score"]) == ("no", 0.0)
    assert (third["self_check_keep"], third["self_check_score"]) == ("yes", 1.0)
    assert Record.objects.filter(dataset=answers).count() == 3


def test_a_share_may_be_enough(answers: Dataset, provider: Provider, llm_server: LlmServer) -> None:
    said = claims(("One.", True, "I"), ("Two.", False, ""))
    llm_server.script("claims", answer=said)
    finish("self_check", answers, provider, params={**CHECK, "least": 0.5})
    kept = [metadata["self_check_keep"] for metadata in metadata_of(answers)]
    assert kept == ["yes", "no", "yes"]  # the second context has no letter I


@given(quote=st.text(max_size=20), evidence=st.text(max_size=60), supported=st.booleans())
def test_a_quote_counts_only_where_it_stands(quote: str, evidence: str, supported: bool) -> None:
    claim = {"claim": "c", "supported": supported, "evidence_quote": quote}
    found = is_supported(claim, evidence)
    assert found == (supported and bool(quote.strip()) and quote.strip() in evidence)


# --- Quality -------------------------------------------------------------------------------------
def test_quality_is_a_score_and_a_reason(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("lost card", answer={"rationale": "clear", "rating": 5})
    llm_server.script("training data", answer={"rationale": "vague", "rating": 2})
    job = finish("quality", answers, provider, params={"least": 4})
    assert job.state == "done", job.error_sample
    found = [(m["quality_keep"], m["quality_score"]) for m in metadata_of(answers)]
    assert found == [("yes", 1.0), ("no", 0.25), ("no", 0.25)]


def test_other_metadata_stays(answers: Dataset, provider: Provider) -> None:
    record = Record.objects.filter(dataset=answers).in_order().first()
    assert record is not None
    Record.objects.filter(id=record.id).update(metadata={"source": "phone"})
    finish("quality", answers, provider)
    assert metadata_of(answers)[0]["source"] == "phone"


def test_drafts_are_judged_and_keep_waiting(
    answers: Dataset, drafts: list[Draft], job: Job, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("PIN", answer={"rationale": "asks for a secret", "rating": 1})
    llm_server.script("training data", answer={"rationale": "fine", "rating": 4})
    params = {"over": "drafts", "draft_job": str(job.id)}
    done = finish("quality", answers, provider, params=params)
    assert (done.state, done.counters["done"]) == ("done", 3), done.error_sample
    found = list(Draft.objects.in_order())
    assert [(one.keep, one.score) for one in found] == [(True, 0.75), (True, 0.75), (False, 0.0)]
    assert found[2].reasons[0]["reason"] == "asks for a secret"
    assert {one.state for one in found} == {"waiting"}
    assert metadata_of(answers) == [{}, {}, {}]


def test_drafts_of_other_jobs_are_left_alone(
    answers: Dataset, drafts: list[Draft], provider: Provider
) -> None:
    params = {"over": "drafts", "draft_job": str(uuid4())}
    assert finish("quality", answers, provider, params=params).counters["total"] == 0


@pytest.mark.parametrize(
    ("recipe", "params"),
    [("quality", {}), ("rules", {"fields": ["text"], "must_match": ["PIN"]})],
)
def test_what_is_said_of_an_old_text_is_not_said_of_the_new_one(
    answers: Dataset, drafts: list[Draft], recipe: str, params: dict[str, Any]
) -> None:
    """A person edits a draft while a model thinks about it."""
    judge, editor = load(recipe), make_member()
    context = context_for(recipe, answers, params={"over": "drafts", **params})
    loaded = judge.load(context, [{"draft": str(draft.id)} for draft in drafts])
    edit_draft(draft=drafts[0], edit=Edit(fields={"text": "Block the card."}), member=editor)
    edit_draft(draft=drafts[1], edit=Edit(fields={"text": "Long enough."}), member=editor)
    edit_draft(draft=drafts[1], edit=Edit(fields={"text": "Kurz."}), member=editor)
    finding = Finding(keep=False, reason="dull", score=0.25)
    judge.write(context, [Answered(n, one, finding, Usage()) for n, one in enumerate(loaded)])
    changed, there_and_back, untouched = Draft.objects.in_order()
    assert (changed.keep, changed.score, changed.reasons, changed.metadata) == (None, None, [], {})
    assert (there_and_back.keep, untouched.keep) == (False, False)


# --- Rules ---------------------------------------------------------------------------------------
def test_rules_need_no_model(answers: Dataset, drafts: list[Draft]) -> None:
    params = {
        "over": "drafts",
        "fields": ["text"],
        "shortest": 10,
        "languages": ["en"],
        "must_not_match": [r"\mPIN\M", r"\d{4}"],
    }
    done = finish("rules", answers, None, params=params)
    assert done.state == "done", done.error_sample
    assert done.cost == 0
    first, second, third = Draft.objects.in_order()
    assert (first.keep, second.keep, third.keep) == (True, False, False)
    assert second.reasons[0]["reason"] == "text has 5 characters, fewer than 10"
    assert third.reasons[0]["reason"] == r"'\\mPIN\\M' is in it; '\\d{4}' is in it"


def test_rules_over_records(answers: Dataset) -> None:
    params = {"fields": ["text", "answer_1"], "must_match": ["card"], "longest": 30}
    assert finish("rules", answers, None, params=params).state == "done"
    kept = [metadata["rules_keep"] for metadata in metadata_of(answers)]
    assert kept == ["yes", "no", "no"]


def test_a_pattern_that_would_take_for_ever_does_not(answers: Dataset) -> None:
    Record.objects.filter(dataset=answers).update(fields={"text": "a" * 5_000 + "!"})
    params = {"fields": ["text"], "must_match": ["^(a+)+$"]}
    assert finish("rules", answers, None, params=params).counters["done"] == 3


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"fields": ["text"], "must_match": ["(["]}, "no regular expression"),
        ({"fields": ["text"], "must_match": [""]}, "1 to 500"),
        ({"fields": ["text"], "must_match": [r"(a*)*\1"]}, "refers back"),
        ({"fields": ["nothing"]}, "no field"),
        ({"fields": ["text"], "languages": ["xx"]}, "unknown language"),
        ({"fields": []}, "fields"),
    ],
)
def test_what_cannot_be_is_said_before(
    answers: Dataset, params: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        start("rules", answers, None, params=params)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The card was lost on the way to the airport, and I need a new one.", "en"),
        ("Die Karte ist auf dem Weg zum Flughafen verloren gegangen und ich brauche sie.", "de"),
        ("La carte a été perdue sur le chemin de l'aéroport et je ne la trouve pas.", "fr"),
        ("He perdido la tarjeta en el aeropuerto y no sé qué hacer con las compras.", "es"),
        ("Ho perso la carta in aeroporto e non so come fare per avere una nuova.", "it"),
        ("Я потерял карту в аэропорту.", "ru"),
        ("私は空港でカードをなくしました。", "ja"),
        ("我在机场丢了卡。", "zh"),
        ("PIN 1234", None),
        ("", None),
    ],
)
def test_languages_are_told_by_their_smallest_words(text: str, language: str | None) -> None:
    assert language_of(text) == language
