"""``manage.py restore``: a data directory from a backup."""

from apps.core.embedded.backups.command import restore_
from apps.core.management.early import EarlyCommand


class Command(EarlyCommand):
    """Makes a data directory from a backup, checked file by file."""

    help = __doc__
    main = staticmethod(restore_)
