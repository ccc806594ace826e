"""CocoIndex, in its own environment: keeps `theirs` equal to the products that have an amount, until stdin ends."""

from __future__ import annotations

import os
import sys

import cocoindex


@cocoindex.flow_def(name="Shop")  # type: ignore[untyped-decorator] # mypy runs where CocoIndex is not
def shop(flow_builder: cocoindex.FlowBuilder, data_scope: cocoindex.DataScope) -> None:
    source = cocoindex.sources.Postgres(
        table_name="products",
        database=cocoindex.add_transient_auth_entry(
            cocoindex.DatabaseConnectionSpec(url=os.environ["COCOINDEX_DATABASE_URL"])
        ),
        included_columns=["name", "amount", "modified_time"],
        ordinal_column="modified_time",
        filter="amount > 0",
        notification=cocoindex.sources.PostgresNotification(),
    )
    data_scope["products"] = flow_builder.add_source(source)
    collected = data_scope.add_collector()
    with data_scope["products"].row() as row:
        collected.collect(id=row["id"], name=row["name"], amount=row["amount"])
    collected.export("theirs", cocoindex.targets.Postgres(table_name="theirs"), primary_key_fields=["id"])


cocoindex.init()
shop.setup(report_to_stdout=False)
with cocoindex.FlowLiveUpdater(shop, cocoindex.FlowLiveUpdaterOptions(live_mode=True)):
    sys.stdin.read()
