"""What goes round all organizations: it finds everybody's rows, and one failure ends nothing."""

from uuid import UUID

import pytest

from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.workspaces.models import Workspace
from tests import factories
from tests.conftest import ALL_DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)


def test_a_round_goes_on_where_one_failed(caplog: pytest.LogCaptureFixture) -> None:
    organizations = [factories.make_organization(name) for name in ("Acme", "Bolt", "Crux")]
    for organization in organizations:
        with enter(organization.id):
            factories.make_workspace(name=f"of-{organization.slug}")
    bad = organizations[1].id

    def name_of(organization_id: UUID, workspace_id: UUID) -> str:
        if organization_id == bad:
            raise ValueError
        with enter(organization_id):
            return Workspace.objects.get(id=workspace_id).name

    places = find(
        "SELECT organization_id, id AS workspace_id FROM workspace"
        " WHERE organization_id = ANY(%s) ORDER BY organization_id",
        [[organization.id for organization in organizations]],
    )
    names = for_each(places, name_of)
    assert names == [f"of-{organizations[0].slug}", f"of-{organizations[2].slug}"]
    assert f"failed for organization {bad}, workspace {places[1]['workspace_id']}" in caplog.text
