"""How often an organization may ask, by pages and API together, however many keys it has."""

from uuid import UUID

from django.conf import settings

from apps.core.rate_limits import Limit, UncountedError, take_from_stock


def wait_of(organization_id: UUID | str) -> float:
    """Count a request; 0, or the seconds until there is room for it. 0 while Redis is away."""
    limit = Limit(
        settings.ORGANIZATION_RATE_LIMIT_PER_SECOND, settings.ORGANIZATION_RATE_LIMIT_BURST
    )
    try:
        return take_from_stock(f"organization:{organization_id}", limit)
    except UncountedError:
        return 0
