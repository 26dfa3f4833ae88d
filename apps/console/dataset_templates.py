"""Beginnings of datasets for usual tasks, in the language of who makes one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.exchange.creation.content import RATINGS, FieldDraft, QuestionDraft, SketchContent

Parts = tuple[Sequence[FieldDraft], Sequence[QuestionDraft], str]


@dataclass(frozen=True, slots=True)
class Template:
    """``parts`` gives fields, questions and guidelines."""

    name: str
    title: Any
    about: Any
    icon: str
    parts: Callable[[], Parts]


def begin_with(name: str) -> SketchContent:
    """A sketch's content with the template's parts; without one, nothing."""
    found = next((one for one in TEMPLATES if one.name == name), None)
    if found is None:
        return SketchContent()
    fields, questions, guidelines = found.parts()
    return SketchContent(
        template=name, fields=list(fields), questions=list(questions), guidelines=guidelines
    )


def plain() -> SketchContent:
    """For a dataset without rows and template: a text, and a label to begin with."""
    fields, questions, _guidelines = _classification()
    return SketchContent(fields=list(fields), questions=list(questions))


def _field(name: str, title: str, *aliases: str, **more: Any) -> FieldDraft:
    return FieldDraft(name=name, title=title, aliases=list(aliases), **more)


def _choice(name: str, title: str, labels: dict[str, str], **more: Any) -> QuestionDraft:
    more.setdefault("type", "label_selection")
    return QuestionDraft(name=name, title=title, labels=list(labels), texts=labels, **more)


def _rating(name: str, title: str, **more: Any) -> QuestionDraft:
    return QuestionDraft(name=name, title=title, type="rating", labels=RATINGS.split(), **more)


def _text(name: str, title: str, **more: Any) -> QuestionDraft:
    return QuestionDraft(name=name, title=title, type="text", **more)


def _classification() -> Parts:
    labels = {"positive": _("Positive"), "negative": _("Negative"), "neutral": _("Neutral")}
    return (
        [_field("text", _("Text"), "sentence", "utterance", "message", "review", "content")],
        [
            _choice(
                "label",
                _("Which label fits?"),
                labels,
                required=True,
                aliases=["intent", "sentiment", "category", "class", "target"],
                more={"placeholder": True},
            )
        ],
        _("Choose the label that fits the whole text. If two fit, choose the more specific one."),
    )


def _entities() -> Parts:
    labels = {"person": _("Person"), "place": _("Place"), "organization": _("Organization")}
    return (
        [_field("text", _("Text"), "sentence", "tokens", "content")],
        [
            _choice(
                "entities",
                _("Mark the names"),
                labels,
                type="span",
                required=True,
                field="text",
                aliases=["spans", "ner", "labels"],
                more={"placeholder": True},
            )
        ],
        _("Mark each name from its first to its last character, without articles and titles."),
    )


def _preference() -> Parts:
    labels = {"response_a": _("Response A"), "response_b": _("Response B")}
    return (
        [
            _field("prompt", _("Prompt"), "instruction", "question", "input", "query"),
            _field("response_a", _("Response A"), "chosen", "response_1", "answer_a", "output_1"),
            _field("response_b", _("Response B"), "rejected", "response_2", "answer_b", "output_2"),
        ],
        [
            _choice("preference", _("Which one is better?"), labels, type="ranking", required=True),
            _text("reason", _("Why?")),
        ],
        _("Judge what was asked for first, then truth, then style. Equally good ones may tie."),
    )


def _rag() -> Parts:
    relevant = {"yes": _("Yes"), "partly": _("Partly"), "no": _("No")}
    return (
        [
            _field("query", _("Question"), "question", "prompt", "user_query"),
            _field("context", _("Documents"), "contexts", "documents", "passages", "passage"),
            _field("answer", _("Answer"), "response", "output", "completion"),
        ],
        [
            _choice("relevance", _("Do the documents help?"), relevant, required=True),
            _choice("grounded", _("Is the answer in the documents?"), relevant, required=True),
            _rating("quality", _("How good is the answer?")),
            _text("correction", _("A better answer")),
        ],
        _("An answer is grounded when each of its claims stands in the documents."),
    )


def _correction() -> Parts:
    usable = {"as_is": _("Yes"), "edited": _("After a change"), "no": _("No")}
    return (
        [
            _field("prompt", _("Prompt"), "instruction", "question", "input", "query"),
            _field("response", _("Response"), "answer", "output", "completion", "solution"),
        ],
        [
            _choice("usable", _("Can it be used for training?"), usable, required=True),
            _text("correction", _("The response as it should be"), aliases=["corrected"]),
        ],
        _("Change as little as needed. Leave the correction empty when the response is right."),
    )


def _safety() -> Parts:
    harms = {
        "violence": _("Violence"),
        "hate": _("Hate"),
        "self_harm": _("Self-harm"),
        "sexual": _("Sexual content"),
        "illegal": _("Crime"),
        "privacy": _("Privacy"),
    }
    safe = {"safe": _("Safe"), "unsafe": _("Unsafe"), "unclear": _("Unclear")}
    return (
        [
            _field("prompt", _("Prompt"), "instruction", "question", "input", "query", "text"),
            _field("response", _("Response"), "answer", "output", required=False),
        ],
        [
            _choice("verdict", _("Is the response safe?"), safe, required=True),
            _choice("harms", _("What kind of harm?"), harms, type="multi_label_selection"),
            _rating("severity", _("How grave is it?")),
        ],
        _("Judge what the response would let somebody do, not what its words sound like."),
    )


TEMPLATES: Final = (
    Template(
        "classification",
        gettext_lazy("Classification"),
        gettext_lazy("One label a text: intents, topics, sentiment."),
        "tag",
        _classification,
    ),
    Template(
        "entities",
        gettext_lazy("Names in texts"),
        gettext_lazy("Spans of persons, places and what else you name."),
        "pencil",
        _entities,
    ),
    Template(
        "preference",
        gettext_lazy("Preference"),
        gettext_lazy("Two responses to a prompt: which one is better?"),
        "layers",
        _preference,
    ),
    Template(
        "rag",
        gettext_lazy("Grounded answers"),
        gettext_lazy("Question, documents, answer: relevance and grounding."),
        "book",
        _rag,
    ),
    Template(
        "correction",
        gettext_lazy("Correction"),
        gettext_lazy("Responses that people correct for fine-tuning."),
        "wrench",
        _correction,
    ),
    Template(
        "safety",
        gettext_lazy("Safety"),
        gettext_lazy("Is it safe, and if not, what is the harm?"),
        "shield",
        _safety,
    ),
)
