"""What a load reads and writes, for events of lineage."""

from __future__ import annotations

import argparse
from dataclasses import replace

from jobs.dbaccess.conninfo.settings import Settings
from jobs.flows.report import LoadReport
from jobs.lineage import datasets
from jobs.lineage.datasets import Datasets


def of_load(options: argparse.Namespace, settings: Settings, report: LoadReport | None = None) -> Datasets:
    """Return what is read and written. A report knows how much, and the schema."""
    sources = datasets.files(options.source or [])
    if report is not None and report.source_table is not None:  # where its files are is known when it was read
        sources = datasets.files(report.source_table.places)
    if report is None:
        return Datasets(sources, datasets.table(settings, options.table))
    targets = datasets.table(settings, report.table)
    if report.already_loaded or report.nothing_new:
        return Datasets(sources, targets)
    if not options.select:  # the columns of a query are not those of the files
        columns = tuple((column.source, column.spark_type) for column in report.columns)
        sources = tuple(replace(source, columns=columns) for source in sources)
    if len(sources) == 1:
        sources = (replace(sources[0], rows=report.rows_read),)
    columns = tuple((column.name, column.type) for column in report.columns)
    written = report.rows_inserted + report.rows_updated
    return Datasets(
        sources, tuple(replace(each, columns=columns, rows=written, size=report.bytes_copied) for each in targets)
    )
