"""Physical backups of an embedded instance, and the way back.

A backup is a directory named after the moment it was begun (UTC)::

    2026-11-22T16-30-00Z/
        manifest.json   what it continues, and size and checksum of all but the cluster's files
        postgres/       pg_basebackup of the cluster; its backup_manifest knows the checksums
        files/          the rest of the data directory: secret_key, VERSION, uploads …

Most hold only what has changed since the one before; such a chain begins with a full one, and all
of it is needed to restore. A backup is written under an unfinished name, so whatever has its own
name is whole.

They are copies of the cluster and not dumps: a dump loaded into a new cluster starts the numbers
of transactions anew, and the seals of the event log go by those.
"""
