"""What people send on the pages of a new dataset, read into its sketch."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.errors import InvalidError
from apps.datasets.settings import MAX_LABELS
from apps.exchange.creation import outline
from apps.exchange.creation.content import (
    MAX_NAME,
    RATINGS,
    ColumnChoice,
    QuestionDraft,
    SketchContent,
    part_name,
)
from apps.exchange.strict_json import check_text

MAX_TITLE: Final = 500
MAX_DESCRIPTION: Final = 1000
MOST_QUESTIONS: Final = 50
MOST_SUBMITTED: Final = 1000
LISTS: Final = {"label_selection", "multi_label_selection", "ranking", "span"}

Sent = Mapping[str, Any]  # a QueryDict


def text_of(sent: Sent, name: str, most: int) -> str:
    """A line as it was typed, cut to its longest; raises ``InvalidError`` for a NUL."""
    text = str(sent.get(name, "")).strip()
    check_text(text)
    return text[:most]


def lines_of(text: str) -> list[str]:
    """Labels, one a line, each once; one line may name several, separated by commas or ``|``."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line]
    if len(lines) == 1:
        for separator in ("|", ";", ","):
            if separator in lines[0]:
                lines = [part.strip() for part in lines[0].split(separator) if part.strip()]
                break
    return list(dict.fromkeys(lines))


# --- Columns ----------------------------------------------------------------------------------
def read_columns(content: SketchContent, sent: Sent) -> None:
    """Where each column goes, and what it is called. Unknown places are passed over."""
    known = {written for written, _title in outline.existing_targets(content)}
    allowed = {*known, *outline.ALONE, *outline.MADE}
    for number, choice in enumerate(content.columns):
        to = str(sent.get(f"to-{number}", choice.to))
        if to in allowed and to != choice.to:
            choice.to, choice.reason, choice.facts = to, "chosen", {}
        title = text_of(sent, f"title-{number}", MAX_NAME)
        if title and title != choice.title:
            _rename(content, choice, title)
    outline.follow_columns(content)


def _rename(content: SketchContent, choice: ColumnChoice, title: str) -> None:
    for question in content.questions:
        if question.column == choice.column and question.title == choice.title:
            question.title = title
    choice.title = title


# --- Questions --------------------------------------------------------------------------------
def read_questions(content: SketchContent, sent: Sent) -> None:
    """Titles, labels and so on of every question that was sent."""
    for number, question in enumerate(content.questions):
        before = f"q{number}-"
        if f"{before}title" in sent:
            _read_question(question, sent, before)


def _read_question(question: QuestionDraft, sent: Sent, before: str) -> None:
    question.title = text_of(sent, f"{before}title", MAX_TITLE) or question.title
    question.description = text_of(sent, f"{before}description", MAX_DESCRIPTION)
    question.required = f"{before}required" in sent
    if question.type in LISTS and f"{before}labels" in sent:
        text = str(sent[f"{before}labels"])
        check_text(text)
        question.labels = lines_of(text)
        question.more.pop("placeholder", None)
    if question.type == "rating":
        _read_rating(question, sent, before)
    if question.type == "span":
        question.field = str(sent.get(f"{before}field", question.field))


def _read_rating(question: QuestionDraft, sent: Sent, before: str) -> None:
    low, high = sent.get(f"{before}low", ""), sent.get(f"{before}high", "")
    given = all(text.isdecimal() and len(text) < 3 for text in (low, high))
    if given and 0 <= int(low) < int(high) <= 10:
        question.labels = [str(n) for n in range(int(low), int(high) + 1)]


def steer_questions(content: SketchContent, act: str) -> str:
    """Move, remove or add one; returns the id of the element to go to, if any."""
    verb, _dash, text = act.partition("-")
    number = int(text) if text.isdecimal() and len(text) < 4 else -1
    if verb == "add":
        return _add_question(content, text)
    if not 0 <= number < len(content.questions):
        return ""
    questions = content.questions
    if verb == "remove":
        gone = questions.pop(number)
        _leave_out(content, gone)
        return ""
    other = number + {"up": -1, "down": 1}.get(verb, 0)
    if 0 <= other < len(questions):
        questions[number], questions[other] = questions[other], questions[number]
        return f"question-{other}"
    return f"question-{number}"


def _add_question(content: SketchContent, type: str) -> str:
    if len(content.questions) >= MOST_QUESTIONS:
        raise InvalidError(_("More than %d questions are too many.") % MOST_QUESTIONS)
    taken = {one.name for one in content.questions}
    question = QuestionDraft(
        name=part_name("question", taken, "question"),
        title=_("New question"),
        type=type if type in {*LISTS, "rating", "text"} else "text",
        labels=RATINGS.split() if type == "rating" else [],
        required=not content.questions,
    )
    content.questions.append(question)
    outline.follow_columns(content)
    return f"question-{len(content.questions) - 1}"


def _leave_out(content: SketchContent, question: QuestionDraft) -> None:
    targets = {f"suggestion:{question.name}", f"response:{question.name}"}
    for one in content.columns:
        if one.column == question.column or one.to in targets:
            one.to, one.reason, one.facts = "ignore", "chosen", {}


def faults_of(content: SketchContent) -> dict[int, str]:
    """What is wrong with each question, by its place."""
    faults = {}
    for number, question in enumerate(content.questions):
        fault = _fault_of(question)
        if fault:
            faults[number] = fault
    return faults


def _fault_of(question: QuestionDraft) -> str:
    if question.type in LISTS:
        least = 1 if question.type == "span" else 2
        most = 50 if question.type == "ranking" else MAX_LABELS
        if len(question.labels) < least:
            return (
                ngettext("It needs at least %d label.", "It needs at least %d labels.", least)
                % least
            )
        if len(question.labels) > most:
            return _("More than %d labels are too many.") % most
        if any(len(label) > MAX_NAME for label in question.labels):
            return _("A label has at most %d characters.") % MAX_NAME
    if question.type == "span" and not question.field:
        return _("There is no text in which spans could be marked.")
    return ""


# --- The last step ----------------------------------------------------------------------------
def read_finish(content: SketchContent, sent: Sent) -> None:
    """Name, guidelines and how many answers a record needs. Raises ``InvalidError``."""
    content.name = text_of(sent, "name", MAX_NAME)
    content.guidelines = text_of(sent, "guidelines", 200_000).replace("\r\n", "\n")
    number = str(sent.get("min_submitted", "1"))
    if not number.isdecimal() or len(number) > 9 or not 1 <= int(number) <= MOST_SUBMITTED:
        raise InvalidError(_("Answers a record: a whole number from 1 to %d.") % MOST_SUBMITTED)
    content.min_submitted = int(number)
