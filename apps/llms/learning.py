"""What calls found out about models, written down for other processes and for later."""

from collections.abc import Iterable
from typing import Final

from django.db import transaction
from django.db.models import Case, F, FloatField, Value, When
from django.db.models.expressions import Combinable

from apps.llms.connections import ProviderConnection
from apps.llms.dialects import Memory, new_knowledge
from apps.llms.models import ProviderModel

FADING: Final = 1_000_000  # tokens after which what was seen counts half


@transaction.atomic(savepoint=False)
def remember(connections: Iterable[ProviderConnection]) -> None:
    """Write down what is new about the models: one statement for each, none when nothing is."""
    for connection in {one.model_id: one for one in connections}.values():
        memory = new_knowledge(connection)
        if memory is not None:
            _write(connection, memory)


def _write(connection: ProviderConnection, memory: Memory) -> None:
    """Unless the provider has moved meanwhile: then it was another server that was learned of."""
    rows = ProviderModel.objects.filter(
        id=connection.model_id, provider__base_url=connection.base_url
    )
    rows.update(
        answer_form=memory.dialect.form,
        quirks=sorted(memory.dialect.quirks),
        seen_characters=_faded("seen_characters", memory.new_characters),
        seen_tokens=_faded("seen_tokens", memory.new_tokens),
    )
    memory.is_new, memory.new_characters, memory.new_tokens = False, 0.0, 0.0


def _faded(column: str, more: float) -> Combinable:
    weight = Case(
        When(seen_tokens__gt=FADING, then=Value(0.5)),
        default=Value(1.0),
        output_field=FloatField(),
    )
    return F(column) * weight + more
