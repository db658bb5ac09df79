"""Brings the tables to what the code expects: `python -m backend.migrate [--check]`.

The files of `migrations/` in order, each once, all in one transaction under a lock that only one of us can hold. `--check` changes
nothing and ends with 1 while one is pending. Whatever goes wrong ends with 2, so that it is never taken for an answer.
"""

import os
import sys
import traceback
from pathlib import Path

import psycopg

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
LOCK = 20_221_015


def done(connection):
    """The names of those that were carried out."""
    if not connection.execute("select to_regclass('public.migrations')").fetchone()[0]:
        return set()
    return {name for (name,) in connection.execute("select name from migrations")}


def migrate(only_look):
    """Carries out what is pending, or tells whether something is."""
    files = sorted(FOLDER.glob("*.sql"))
    if not files:
        raise FileNotFoundError(f"no migrations in {FOLDER}")
    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=10) as connection:
        if only_look:
            return 1 if {path.name for path in files} - done(connection) else 0
        connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("create table if not exists migrations (name text primary key, at timestamptz not null default now())")
        already = done(connection)
        for path in (path for path in files if path.name not in already):
            connection.execute(path.read_text())
            connection.execute("insert into migrations (name) values (%s)", (path.name,))
            print(f"carried out {path.name}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(migrate(only_look="--check" in sys.argv[1:]))
    except Exception:
        traceback.print_exc()
        sys.exit(2)
