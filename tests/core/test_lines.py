"""Names are kept without marks that turn what stands behind them."""

import pytest

from apps.core.fields import LineField
from apps.datasets.models import Dataset
from apps.organizations.models import Membership, Organization
from tests import factories

TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("mark", TURNING)
def test_a_mark_that_turns_is_not_kept(organization: Organization, mark: str) -> None:
    dataset = factories.make_dataset(name=f"re{mark}views")
    dataset.refresh_from_db()
    assert dataset.name == "reviews"
    assert Dataset.objects.filter(name=f"{mark}reviews").exists()


def test_by_whichever_way_it_is_written(organization: Organization) -> None:
    member = factories.make_member(first_name="An\u202ea")
    Membership.objects.filter(pk=member.pk).update(last_name="\u2067Nev\u2069es")
    member.refresh_from_db()
    assert (member.first_name, member.last_name) == ("Ana", "Neves")


@pytest.mark.parametrize("text", ["Łódź", "مريم", "דנה", "日本", "a\u200eb", "🎩\u200d🎩", ""])
def test_everything_else_stays(organization: Organization, text: str) -> None:
    member = factories.make_member(first_name=text)
    member.refresh_from_db()
    assert member.first_name == text


def test_migrations_see_a_char_field() -> None:
    field = Dataset._meta.get_field("name")
    assert isinstance(field, LineField)
    assert field.deconstruct()[1] == "django.db.models.CharField"
