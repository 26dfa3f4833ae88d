"""Keeping searches."""

from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.search.asked import MAX_TEXT
from apps.search.models import SavedView

MAX_NAME: Final = 100
MAX_VIEWS: Final = 200  # of one person in one dataset


@transaction.atomic
def save_view(
    *, dataset: Dataset, owner: Membership, name: str, query: str, is_shared: bool = False
) -> SavedView:
    """Keep a search; one of the same name is replaced. Raises ``InvalidError``."""
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise InvalidError(_("A view needs a name."))
    if len(name) > MAX_NAME or len(query) > MAX_TEXT:
        raise InvalidError(_("This name or search is too long to be kept."))
    mine = SavedView.objects.filter(dataset=dataset, owner=owner)
    if mine.exclude(name=name).count() >= MAX_VIEWS:
        raise InvalidError(_("You keep %d views here, which is the most there may be.") % MAX_VIEWS)
    view, _created = SavedView.objects.update_or_create(
        dataset=dataset,
        owner=owner,
        name=name,
        defaults={"query": query, "is_shared": is_shared},
    )
    return view


@transaction.atomic
def delete_view(*, view: SavedView) -> None:
    """Forget a search."""
    SavedView.objects.filter(pk=view.pk).delete()
