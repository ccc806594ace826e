"""The real Luigi, in a process of its own: its driver and its marker table are chosen when it is imported.

Reads one request a line (`exists ID`, `touch ID TABLE`, `copy ID TABLE`), and answers each with a line of JSON. Which
server it works on, PGHOST and the like say.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import luigi
from luigi.contrib.postgres import CopyToTable, PostgresTarget, dbapi


class Target(PostgresTarget):  # type: ignore[misc] # Luigi's types are not followed
    """Luigi's own, but for a method of pg8000's connections that Luigi 3.8 calls and pg8000 1.31 does not have."""

    def connect(self) -> object:
        if dbapi.__name__ != "pg8000.dbapi":
            return super().connect()
        return dbapi.connect(
            host=self.host, port=int(self.port), database=self.database, user=self.user, password=self.password
        )


class Orders(CopyToTable):  # type: ignore[misc] # likewise
    """Two rows for a table that Luigi makes if it is missing."""

    host, port = os.environ["PGHOST"], int(os.environ["PGPORT"])
    database, user, password = os.environ["PGDATABASE"], os.environ["PGUSER"], os.environ["PGPASSWORD"]
    table, update_id = luigi.Parameter(), luigi.Parameter()
    columns = (("id", "SERIAL PRIMARY KEY"), ("note", "VARCHAR(20) DEFAULT 'none'"))
    null_values = (None, "", "NA")

    def rows(self) -> Iterator[tuple[object, ...]]:
        yield 1, "a\tb"
        yield 2, "NA"

    def output(self) -> Target:
        return target(self.update_id, self.table)


def target(update_id: str, table: str) -> Target:
    return Target(Orders.host, Orders.database, Orders.user, Orders.password, table, update_id, Orders.port)


def answer(request: str, update_id: str, table: str = "public.t") -> object:
    if request == "exists":
        return target(update_id, table).exists()
    if request == "touch":
        return target(update_id, table).touch()
    return luigi.build([Orders(table=table, update_id=update_id)], local_scheduler=True)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(*line.split())), flush=True)  # noqa: T201 - the answer
