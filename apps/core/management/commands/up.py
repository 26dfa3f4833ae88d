"""``manage.py up``: a whole Stoneware on this machine, with one command."""

from apps.core.embedded.supervisor import main
from apps.core.management.early import EarlyCommand


class Command(EarlyCommand):
    """Starts PostgreSQL, Redis, web server and worker; Ctrl-C stops them all."""

    help = __doc__
    main = staticmethod(main)
