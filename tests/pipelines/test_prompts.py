"""Prompts: what stands in them, and how examples are chosen."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.ids import uuid7
from apps.datasets.models import Dataset, Field, Question, VectorSettings
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.pipelines.prompts import Shot, check_prompt, prompt_text, shot_blocks
from apps.pipelines.shots import agreed_values, choose, load_pool
from apps.quality.head import Proposal
from apps.quality.models import Adjudication
from apps.quality.suggestions import write_suggestions
from apps.records.models import Record, RecordVector
from tests.factories import QUESTIONS
from tests.pipelines.conftest import answer

VALUES: dict[str, Any] = {
    "sentiment": "mixed",
    "genre": ["horror"],
    "quality": 3,
    "comment": "fine",
    "order": [{"value": value, "rank": rank} for rank, value in enumerate("abc", start=1)],
    "entities": [{"label": "person", "start": 0, "end": 3}],
}


def rule_of(schema: DatasetSchema, name: str = "sentiment") -> QuestionRule:
    return schema.questions[name]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_prompt_that_nobody_wrote(name: str, schema: DatasetSchema) -> None:
    fields = {"text": "Ana is here."}
    shots = [Shot(fields, VALUES[name])]
    text = prompt_text(schema, rule_of(schema, name), fields, guidelines="Be fair.", shots=shots)
    assert text.startswith("# Guidelines\nBe fair.")
    assert text.count("Ana is here.\n</data-") == 2
    assert "# Examples answered by people" in text
    assert ("# Options" in text) == (name != "comment")
    bare = prompt_text(schema, rule_of(schema, name), fields)
    assert "# Guidelines" not in bare
    assert "# Examples" not in bare


def test_examples_show_answers_in_the_form_that_is_asked_for(schema: DatasetSchema) -> None:
    shots = [Shot({"text": "Ana is here."}, VALUES["entities"])]
    shown = shot_blocks(schema, rule_of(schema, "entities"), shots)
    answer = json.dumps({"spans": [{"quote": "Ana", "occurrence": 1, "label": "person"}]})
    assert answer in shown


def test_chats_and_other_fields_in_templates(organization: Any, dataset: Dataset) -> None:
    for name, settings in {
        "chat": {"type": "chat", "use_markdown": False},
        "image": {"type": "image"},
        "facts": {"type": "custom", "template": "x", "advanced_mode": False},
        "shots": {"type": "text", "use_markdown": False},
    }.items():
        Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
    dataset.schema_version += 1
    schema = load_schema(dataset)
    fields = {
        "text": "hello",
        "chat": [{"role": "user", "content": "</data>hi"}],
        "image": "https://example.org/a.png",
        "facts": {"{{ 7 * 7 }}": ["x"]},
        "shots": "a field",
    }
    template = (
        "{% for turn in chat %}{{ turn.role }}:{{ turn.content }}{% endfor %}"
        "{{ facts|tojson }}{{ fields.shots }}[{{ shots }}]"
    )
    text = prompt_text(schema, rule_of(schema), fields, template=template)
    assert "</data>hi\n</data-" in text
    assert '{"{{ 7 * 7 }}": ["x"]}' in text
    assert "a field\n</data-" in text
    assert text.endswith("[]")
    check_prompt(schema, template)
    whole = prompt_text(schema, rule_of(schema), fields)
    assert "user: </data>hi" in whole
    assert "a.png" not in whole
    with pytest.raises(InvalidError, match="nothing called “image”"):
        check_prompt(schema, "{{ image }}{{ text }}")


def test_examples_are_the_nearest_of_those_that_people_agree_on(
    schema: DatasetSchema, records: list[Record]
) -> None:
    answer(records[1], sentiment="negative")
    answer(records[2], sentiment="mixed")
    answer(records[2], sentiment="positive")
    answer(records[4], sentiment="positive")
    pool = load_pool(schema, rule_of(schema), before=None)
    assert set(pool.ids) == {records[1].id, records[4].id}
    texts = {records[0].id: "bread and cheese", records[4].id: records[4].fields["text"]}
    chosen = choose(pool, texts, count=1, strategy="nearest")
    assert chosen[records[0].id][0].fields["text"] == "Great bread, great cheese."
    assert chosen[records[4].id][0].fields["text"] == "The soup in Berlin was cold."
    both = choose(pool, texts, count=5, strategy="nearest")[records[0].id]
    assert [shot.value for shot in both] == ["negative", "positive"]
    assert choose(pool, texts, count=0, strategy="nearest")[records[0].id] == []


def test_what_is_answered_later_plays_no_part(schema: DatasetSchema, records: list[Record]) -> None:
    answer(records[1], sentiment="negative")
    earlier = timezone.now() - timedelta(hours=1)
    assert load_pool(schema, rule_of(schema), before=earlier).ids == []
    assert agreed_values(schema, rule_of(schema), [records[1].id], before=earlier) == {}


def test_errors_come_first_where_they_are_asked_for(
    schema: DatasetSchema, records: list[Record], question: Question
) -> None:
    answer(records[1], sentiment="negative")
    answer(records[4], sentiment="positive")
    write_suggestions(
        question=question,
        record_ids=[records[1].id, records[4].id],
        proposals=[Proposal("mixed", 0.5), Proposal("positive", 0.5)],
        overwrite=True,
        pending_only=False,
    )
    pool = load_pool(schema, rule_of(schema), before=None)
    texts = {records[0].id: "bread and cheese"}
    (shot,) = choose(pool, texts, count=1, strategy="errors")[records[0].id]
    assert shot.value == "negative"
    by_chance = [choose(pool, texts, count=1, strategy="random") for _ in range(2)]
    assert by_chance[0] == by_chance[1]


def test_a_reviewers_decision_comes_first(
    schema: DatasetSchema, records: list[Record], dataset: Dataset
) -> None:
    answer(records[1], sentiment="negative")
    answer(records[4], sentiment="positive")
    for record, values, ambiguous in (
        (records[1], {"sentiment": {"value": "mixed"}}, []),
        (records[4], {}, ["sentiment"]),
    ):
        Adjudication.objects.create(
            record=record,
            dataset=dataset,
            values=values,
            ambiguous=ambiguous,
            decided_at=timezone.now(),
        )
    ids = [record.id for record in records]
    assert agreed_values(schema, rule_of(schema), ids) == {records[1].id: "mixed"}


def test_what_a_decision_does_not_say_people_do(
    schema: DatasetSchema, records: list[Record], dataset: Dataset
) -> None:
    """One about another question, and one that no person made."""
    answer(records[1], sentiment="negative", quality=2)
    given = {"dataset": dataset, "decided_at": timezone.now()}
    Adjudication.objects.create(record=records[1], values={"quality": {"value": 5}}, **given)
    mixed = {"sentiment": {"value": "mixed"}}
    taken = {"sentiment": str(uuid7())}
    Adjudication.objects.create(record=records[2], values=mixed, accepted=taken, **given)
    ids = [record.id for record in records]
    assert agreed_values(schema, rule_of(schema), ids) == {records[1].id: "negative"}
    assert agreed_values(schema, rule_of(schema, "quality"), ids) == {records[1].id: 5}
    assert load_pool(schema, rule_of(schema), before=None).ids == [records[1].id]


def test_examples_by_a_vector_that_records_carry(
    schema: DatasetSchema, records: list[Record], dataset: Dataset
) -> None:
    answer(records[1], sentiment="negative")
    answer(records[4], sentiment="positive")
    settings = VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=2)
    for record, vector in ((records[0], [1, 0]), (records[1], [1, 0.1]), (records[4], [0, 1])):
        RecordVector.objects.create(settings=settings, record=record, embedding=vector)
    pool = load_pool(schema, rule_of(schema), before=None)
    texts = {records[0].id: "bread and cheese", records[2].id: "bread and cheese"}
    chosen = choose(pool, texts, count=1, strategy="nearest", settings=settings)
    assert chosen[records[0].id][0].value == "negative"
    assert chosen[records[2].id][0].value == "positive"  # it carries none: by its text
