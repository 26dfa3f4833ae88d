"""``manage.py backup``: a copy of the whole instance, taken while people work."""

from apps.core.embedded.backups.command import backup
from apps.core.management.early import EarlyCommand


class Command(EarlyCommand):
    """Backs up an embedded instance: the database, the secret key, uploads."""

    help = __doc__
    main = staticmethod(backup)
