"""The ranges that rows lack: the bounds of partitions as points, the rule that they follow, and the bins of rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.partitions.catalog import Partition
from jobs.dbaccess.load.partitions.missing import bounds, local_times, rules
from jobs.dbaccess.load.partitions.missing.bounds import Span
from jobs.dbaccess.load.partitions.missing.key import (
    MOST,
    NOTHING,
    TIMES,
    Key,
    Missing,
    Partitioned,
    check_few,
    named,
    not_known,
)
from jobs.dbaccess.load.partitions.missing.rules import FLAG, INTEGER, Rule
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal

_INTEGER = re.compile(r"(-?\d+)(?:\.0+)?")


@dataclass(frozen=True)
class Known:
    """A partition by ranges: its bound as text, and as integers or as local times of a zone, where it is finite."""

    partition: Partition
    span: Span
    low: int | None
    high: int | None


def of_ranges(session: Session, table: Partitioned, rows: str, given: str) -> Missing:
    """Return the ranges that rows lack. The arguments are those of `find`.

    Raises:
        LoadError: No rule is known, or it does not go with the table.
    """
    target, key, present = table.name, table.key, table.partitions
    spans = [(partition, bounds.span(partition.bound) or Span(None, None)) for partition in present]
    uncovered, values = _uncovered(key, [span for _, span in spans], rows)
    if not session.ask(f"SELECT 1 FROM {uncovered} LIMIT 1", values).rows:
        return NOTHING
    rule, known = _rule(session, target, key, spans, given)
    counted = session.ask(
        f"SELECT bin, count(*) FROM (SELECT {_bin(key, rule)} AS bin FROM {uncovered}) AS bins "
        f"GROUP BY 1 ORDER BY 1 LIMIT {MOST + 2}",
        values,
    ).rows
    numbers = [int(number) for number, _ in counted if number is not None]
    check_few(target, len(numbers))
    new = [(rule.low(number), rule.low(number + 1)) for number in numbers]
    _check_apart(target, new, known, rule)
    others = [(one.partition.name.name, one.low) for one in known if one.low is not None and one.high is not None]
    written = _written(session, key, rule, new)
    wanted = named(session, target, rule, others, [(low, *texts) for (low, _), texts in zip(new, written)])
    unplaced = sum(count for number, count in counted if number is None)
    return Missing(wanted, sum(count for _, count in counted) - unplaced, unplaced)


def _uncovered(key: Key, spans: Sequence[Span], rows: str) -> tuple[str, list[object]]:
    """Return what follows FROM to read the keys (v) of rows without a partition, and the values that it needs.

    The partition of a key is found by a binary search among the lower bounds, of which most tables have many.
    """
    cast = f"::text[]::{key.type_sql}[]"
    closed = [span for span in spans if span.low is not None and span.high is not None]
    values: list[object] = [[span.low for span in closed], [span.high for span in closed]]
    inside = ["coalesce(v < highs[width_bucket(v, lows)], false)"] if closed else []
    for span in spans:
        if span.low is None or span.high is None:
            ends = [(">=", span.low), ("<", span.high)]
            values += (given := [text for _, text in ends if text is not None])
            place = len(values) - len(given) + 1
            written = [f"v {operator} ${place}::text::{key.type_sql}" for operator, text in ends if text is not None]
            inside.append(written[0] if written else "true")
    sql = (
        f"(SELECT v FROM (SELECT array_agg(low ORDER BY low) AS lows, array_agg(high ORDER BY low) AS highs "
        f"FROM unnest($1{cast}, $2{cast}) AS given (low, high)) AS known "
        f"CROSS JOIN (SELECT ({key.sql})::{key.type_sql} AS v FROM {rows} AS r) AS keys "
        f"WHERE v IS NULL OR NOT ({' OR '.join(inside) or 'false'})) AS uncovered"
    )
    return sql, values


def _rule(
    session: Session, target: TableName, key: Key, spans: Sequence[tuple[Partition, Span]], given: str
) -> tuple[Rule, list[Known]]:
    """Return the rule of the new partitions, and the bounds of the others in its time zone."""
    wanted = rules.parse(given)
    seen = [_seen(_points(session, key, spans, zone), key, zone) for zone in _zones(session, key, wanted)]
    if wanted is not None:
        like = [one for one in seen if one.rule and (one.rule.unit, one.rule.step) == (wanted.unit, wanted.step)]
        chosen = (like or seen)[0]
        return rules.aligned(replace(wanted, zone=chosen.zone), chosen.closed), chosen.known
    regular = [one for one in seen if one.rule is not None and not (one.zone and rules.is_ambiguous(one.rule))]
    regular.sort(key=lambda one: not rules.is_by_calendar(one.rule))
    if not regular or regular[0].rule is None:
        why = "the bounds of its partitions are not regular" if spans else "it has no partitions to infer them from"
        raise not_known(target, why)
    return regular[0].rule, regular[0].known


@dataclass(frozen=True)
class Seen:
    """What partitions look like in a time zone: the bounds that are not open, and the rule that they follow, if any."""

    zone: str
    known: list[Known]
    closed: list[rules.Ends]
    rule: Rule | None


def _seen(known: list[Known], key: Key, zone: str) -> Seen:
    closed = [(one.low, one.high) for one in known if one.low is not None and one.high is not None]
    rule = rules.infer(closed, key.type_name in TIMES, zone) if _all_known(known) else None
    return Seen(zone, known, closed, rule)


def _all_known(known: Sequence[Known]) -> bool:
    """Whether each end of a bound that is not open is known as a point."""
    return all(
        (one.span.low is None) == (one.low is None) and (one.span.high is None) == (one.high is None) for one in known
    )


def _zones(session: Session, key: Key, wanted: Rule | None) -> list[str]:
    """Return the time zones in which bounds may be midnights, the most likely first."""
    if key.type_name != "timestamptz":
        return [""]
    zone = session.value("SELECT current_setting('TimeZone')")
    return [wanted.zone] if wanted is not None and wanted.zone else list(dict.fromkeys((zone, "UTC")))


def _points(session: Session, key: Key, spans: Sequence[tuple[Partition, Span]], zone: str) -> list[Known]:
    lows, highs = [span.low for _, span in spans], [span.high for _, span in spans]
    if key.type_name not in TIMES:
        known = [Known(one, span, _integer(span.low), _integer(span.high)) for one, span in spans]
    else:
        cast = f"text::{key.type_sql}" + (" AT TIME ZONE %s" if zone else "::timestamp")
        rows = session.run(
            f"SELECT to_char({cast}, '{local_times.READ}') FROM unnest(%s::text[]) WITH ORDINALITY AS u (text, n) "
            "ORDER BY n",
            *([zone] if zone else []),
            [*lows, *highs],
        )
        times = [local_times.parsed(text) for [text] in rows]
        known = [Known(*pair, low, high) for pair, low, high in zip(spans, times, times[len(spans) :])]
    return sorted(known, key=lambda one: (one.low is not None, one.low))


def _integer(text: str | None) -> int | None:
    found = _INTEGER.fullmatch(text or "")
    return int(found[1]) if found else None


def _bin(key: Key, rule: Rule) -> str:
    """Return an expression for the number of the bin of a key v; NULL if it is in none."""
    local = f"(v AT TIME ZONE {quote_literal(rule.zone)})" if key.type_name == "timestamptz" else "v::timestamp"
    if rule.unit == INTEGER:
        place = f"(v::numeric - {rule.origin})"
    elif rule.unit == rules.MONTH:
        place = (
            f"(extract(year FROM {local}) * 12 + extract(month FROM {local}) - 1 - 1970 * 12 - {rule.origin})::numeric"
        )
    elif rule.unit == rules.DAY:
        place = f"(({local})::date - date '1970-01-01' - {rule.origin})::numeric"
    else:
        place = f"(extract(epoch FROM {local}) * 1000000 - {rule.origin})::numeric"
    step = rule.step
    # The difference is divisible, so that nothing is rounded.
    number = f"div({place} - mod(mod({place}, {step}) + {step}, {step}), {step})"
    if not rule.is_of_times:
        return f"CASE WHEN v::text NOT IN ('NaN', 'Infinity', '-Infinity') THEN {number} END"
    # A key far outside may have no local time. In some time zone, a year begins a day earlier, or later.
    first, after = ("0001-12-31 BC", "10000-01-02") if key.type_name == "timestamptz" else ("0001-01-01", "10000-01-01")
    return f"CASE WHEN v >= '{first}'::{key.type_sql} AND v < '{after}'::{key.type_sql} THEN {number} END"


def _check_apart(target: TableName, new: Sequence[rules.Ends], known: Sequence[Known], rule: Rule) -> None:
    """Check that new partitions do not overlap others.

    Raises:
        LoadError: They do: a partition covers a part of a bin, and rows belong to the rest of it.
    """
    for low, high in new:
        for one in known:
            starts = one.span.low is None or (one.low is not None and one.low < high)
            ends = one.span.high is None or (one.high is not None and one.high > low)
            if starts and ends:
                raise LoadError(
                    f"Rows belong to no partition of {target}, and one from {_text(low, rule)} to {_text(high, rule)} "
                    f"would overlap {one.partition.name}.",
                    f"Nothing was loaded. Create the partition first, or give another rule by {FLAG}.",
                )


def _written(session: Session, key: Key, rule: Rule, new: Sequence[rules.Ends]) -> list[tuple[str, str]]:
    """Return the bounds of new partitions, as in ATTACH PARTITION, and as conditions."""
    texts = [_text(point, rule) for ends in new for point in ends]
    if key.type_name == "timestamptz":
        found = session.run(
            "SELECT (text::timestamp AT TIME ZONE %s)::text FROM unnest(%s::text[]) WITH ORDINALITY AS u (text, n) "
            "ORDER BY n",
            rule.zone,
            texts,
        )
        texts = [text for [text] in found]
    elif key.type_name == "date":
        texts = [text.replace(" 00:00:00", "") for text in texts]
    ends = [(quote_literal(low), quote_literal(high)) for low, high in zip(texts[::2], texts[1::2])]
    of_type = f"::{key.type_sql}"
    return [
        (f"FOR VALUES FROM ({low}) TO ({high})", f"{key.sql} >= {low}{of_type} AND {key.sql} < {high}{of_type}")
        for low, high in ends
    ]


def _text(point: int, rule: Rule) -> str:
    return local_times.written(point) if rule.is_of_times else str(point)
