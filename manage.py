#!/usr/bin/env python
"""Django's command line for Stoneware."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    if sys.argv[1:2] == ["up"]:
        # The supervisor needs no Django: it stays small and starts a second earlier without.
        from apps.core.embedded.supervisor import main as supervise

        sys.exit(supervise(sys.argv[2:]))
    if sys.argv[1:2] in (["backup"], ["restore"]):
        # Settings would write a secret key into a directory that must be empty.
        from apps.core.embedded.backups.command import COMMANDS

        sys.exit(COMMANDS[sys.argv[1]](sys.argv[2:]))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
