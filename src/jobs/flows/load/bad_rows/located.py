"""Finds where staged rows come from that violate a constraint, by computing their parts once more.

A row is recognized by the hash of its values. So this costs nothing until there are such rows, and if the source has
changed meanwhile, nothing is found. Of rows that are equal, the last ones of the part are told. What is not certain is
left out.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jobs.copyformat.text.parsed_text import ParsedText
from jobs.copyformat.write_types import is_string
from jobs.dbaccess.errors import ConstraintViolated, plural
from jobs.dbaccess.load import verify
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import search
from jobs.dbaccess.load.rejects.constraints import Checked
from jobs.dbaccess.load.rejects.places import Misfit, Place, PlacesWanted, Seeking
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.session import Session
from jobs.flows.load.bad_rows.explained import Source, shown_values
from jobs.flows.load.stage import encode
from jobs.flows.load.targets.target import Target
from jobs.spark.origins import Finder, Origin, Sighting, file_names
from jobs.spark.plans.recomputed import reads_shuffles
from jobs.spark.row_forms import form_of
from jobs.spark.tasks.scheduling import job_group

logger = logging.getLogger(__name__)


def seeking(session: Session, source: Source) -> Seeking | None:
    """Return how the places of rows are found; None after a shuffle: another run may order or divide the rows anew."""
    if reads_shuffles(source.encoded.blocks):
        return None
    row = verify.row_text(session, source.target.move.columns, [form_of(match) for match in source.target.loaded])
    return Seeking(row, tuple(_parsed(source.target, row)))


def _parsed(target: Target, row: RowText) -> dict[str, ParsedText]:
    """Return columns that hashes do not compare, because the server parses their text, and as what it is written."""
    types = {match.target.name: match.target.type_name for match in target.loaded if is_string(match.spark_type)}
    found = {name: ParsedText.of(types[name]) for name in row.not_compared if name in types}
    return {name: parsed for name, parsed in found.items() if parsed is not None}


def with_places(source: Source, plan: PublishPlan, wanted: PlacesWanted) -> PublishPlan:
    """Return the plan of a load that puts rows aside, with where those come from that violate a constraint."""
    sought = plan.rejecting.seeking
    if sought is None:
        return plan
    logger.info(
        "Reading the source again, to find where %s.", plural(len(wanted.misfits), "row comes from", "rows come from")
    )
    found = _places(source, sought, wanted)
    hashes = {place.file for place in found.values() if place.file is not None} - plan.rejecting.files.keys()
    files = {**plan.rejecting.files, **file_names(source.df, hashes)}
    return replace(plan, rejecting=replace(plan.rejecting, files=files, seeking=replace(sought, found=found)))


def told(session: Session, source: Source, plan: PublishPlan, error: ConstraintViolated) -> ConstraintViolated:
    """Return the error of a load that puts no rows aside, with a row that is the reason, if that is certain."""
    where = _where(session, source, plan, error) if _shows_its_rows(plan) else ""
    message = f"{error.message} {where}" if where else error.message
    return ConstraintViolated(message, error.hint, error.sqlstate, error.column, error.line)


def _shows_its_rows(plan: PublishPlan) -> bool:
    """Return whether the rows that violate a constraint are those that violate it by themselves, before a publish."""
    move = plan.move
    changes_more = move.changes.flags or move.keeps_history or move.replaces_partitions or move.supplies_partitions
    changes_before = plan.is_new or plan.alterations or plan.metadata or plan.scripts.before or move.emptied
    return plan.staging.rejects is None and not (changes_more or changes_before)


def _where(session: Session, source: Source, plan: PublishPlan, error: ConstraintViolated) -> str:
    sought = seeking(session, source)
    names = plan.staging.with_rejects()
    if sought is None or names.rejects is None:
        return ""
    checked = Checked(plan.staging, names.rejects, plan.target, plan.move, sought)
    violation = search.find(session, checked, plan.receipts, error)
    if violation is None:
        return ""
    row = violation.first
    found = [seen for seen in _seen(source, sought, [row]) if _is_certain(seen, sought)]
    if not found:
        return ""
    [place, line] = found[0].last[-1]
    origin = Origin.parse(line.origin)
    file = file_names(source.df, [origin.file]).get(origin.file)
    text = f"row {place:,} of part {row.part}"
    if file is not None:
        text = f"{file}, row {origin.row:,}" if origin.row is not None else f"{file}, {text}"
    text = f"The row: {text}." if violation.rows == 1 else f"One of {violation.rows:,} such rows: {text}."
    return f"{text} {shown_values(source, line, error.message)}" if source.show_values else text


def _places(source: Source, sought: Seeking, wanted: PlacesWanted) -> Mapping[str, Place]:
    by_row: defaultdict[object, list[Misfit]] = defaultdict(list)
    parsed = _parsed(source.target, sought.row)
    for misfit in wanted.misfits:
        by_row[misfit.part, misfit.hash, _texts(misfit, parsed)].append(misfit)
    found: dict[str, Place] = {}
    for seen in _seen(source, sought, wanted.misfits, wanted.refused):
        misfits = by_row[seen.part, seen.hash, seen.texts]
        found.update(placed(misfits, seen, is_certain=_is_certain(seen, sought)))
    return found


def placed(misfits: Sequence[Misfit], seen: Sighting, *, is_certain: bool) -> Iterator[tuple[str, Place]]:
    """Yield where rows come from that cannot be told apart, as far as that is certain.

    Args:
        misfits: The rows.
        seen: The rows of the source that they may be.
        is_certain: Whether the last of those are they, or are equal to them.
    """
    if seen.count < len(misfits):  # the source is not what it was
        return
    if is_certain:
        for misfit, (place, line) in zip(misfits, seen.last):
            origin = Origin.parse(line.origin)
            yield misfit.staged, Place(origin.file, origin.row, place)
    elif len(seen.files) == 1:
        [file] = seen.files
        yield from ((misfit.staged, Place(file)) for misfit in misfits)


def _is_certain(seen: Sighting, sought: Seeking) -> bool:
    """Return whether rows of the source are those that are sought: there is one, or all are equal in all columns."""
    return seen.count == 1 or (seen.is_sure and set(sought.row.not_compared) <= set(sought.texts))


def _texts(misfit: Misfit, parsed: Mapping[str, ParsedText]) -> tuple[str | None, ...]:
    return tuple(None if text is None else one.stored(text) for text, one in zip(misfit.texts, parsed.values()))


def _seen(
    source: Source, sought: Seeking, misfits: Sequence[Misfit], refused: Sequence[tuple[int, int]] = ()
) -> list[Sighting]:
    """Return the rows of the source that rows may be; none if it cannot be read as before."""
    by_part: defaultdict[int, Counter[tuple[int, tuple[str | None, ...]]]] = defaultdict(Counter)
    target = replace(source.target, row=sought.row)
    parsed = _parsed(target, sought.row)
    for misfit in misfits:
        by_part[misfit.part][misfit.hash, _texts(misfit, parsed)] += 1
    finder = Finder(
        {part: dict(rows) for part, rows in by_part.items()},
        tuple((target.columns.index(name), one) for name, one in parsed.items()),
        frozenset(refused),
        with_lines=source.show_values,
    )
    group = f"{target.name}, rows that violate a constraint"
    try:
        again = encode(source.df, target, source.copying, group, merges=source.encoded.merges, with_origins=True)
        if again.parts != source.encoded.parts:
            return []
        context = again.blocks.context
        with job_group(context, group, "pgjobs: the files of rows that violate a constraint"):
            return context.runJob(again.blocks, finder, list(by_part))
    except Exception as error:  # noqa: BLE001 - of whatever kind, the rows are told without their places
        logger.debug("The source could not be read again: %s", error)
        return []
