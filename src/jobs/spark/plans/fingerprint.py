"""The input of each part of a load as hashes, by which a later run finds out whether its parts hold the same rows.

Only plans are accepted whose parts any run computes alike: files or ranges, and then nothing but projections, filters
and generators that depend on nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pyspark import RDD
from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.errors import UsageError
from jobs.spark.plans.listed_files import leaves, listed_now, statuses
from jobs.spark.plans.repeatable import class_of, end_may_lie, is_file_scan, optimized_plan
from jobs.spark.session_settings import setting

_NARROW = frozenset({"Project", "Filter", "Generate", "SubqueryAlias", "LogicalRelation", "Range"})
"""Nodes of a plan that compute each of their partitions from one below, alike in each run."""

_SAME_IN_EACH_RUN = frozenset({"InputFileName", "InputFileBlockStart", "InputFileBlockLength"})
"""Expressions that Spark takes for nondeterministic, although they depend on the input only."""

_ALL_FIELDS = ("spark.sql.debug.maxToStringFields", "1000000")

_LAMBDA = re.compile(r"\b[a-z]_\d+#\d+L?")
"""A variable of a lambda function, as plans show it. Its numbers are those of the JVM's own counters."""


_LENIENT = re.compile(r"\b(?:try_\w+|get)\(", re.IGNORECASE)
"""Functions that the optimizer replaces by others, which differ in what they do about an error, but not as text."""

_HIVES = re.compile(r"Hive(?:Simple|Generic)UD[A-Z]+#")
"""A function of Hive's kind, as plans show it."""

_OF_THE_ENVIRONMENT = ("spark.sql.session.timeZone", "spark.sql.ansi.enabled")
"""Settings on which values depend, and whose defaults are the machine's time zone, and a variable."""

_HARMLESS = re.compile(
    r"spark\.sql\.(adaptive|autoBroadcastJoinThreshold|broadcast|catalogImplementation|cbo|codegen|debug|event|"
    r"execution\.(arrow|python|pyspark)|files\.(max|min|openCost)|inMemoryColumnarStorage|queryExecutionListeners|"
    r"shuffle|sources\.parallelPartitionDiscovery|statistics|streaming|ui|warehouse)"
)
"""Settings on which no value depends in the plans that are accepted. How files are split is looked at itself."""


def fingerprint(
    lines: DataFrame, rdd: RDD[Any], parts: int, columns: Sequence[str], flag: str = "--publish parts"
) -> tuple[tuple[str, str], ...]:
    """Return what decides which rows each part holds, by name, each as a short hash.

    Args:
        lines: The query.
        rdd: The RDD that computes it.
        parts: The number of its partitions.
        columns: The columns of the table, in the order of a line.
        flag: What asks for a load that can be resumed.

    Raises:
        UsageError: Another run may compute other parts. The message says why.
    """
    plan = optimized_plan(lines)
    reason = end_may_lie(lines, rdd) or next(_reasons(plan), "") or _own_functions(lines, plan)
    if reason:
        raise UsageError(
            f"A load with {flag} could not be resumed: {reason}, so that another run may not compute the same parts.",
            f"Write the rows to Parquet first, and load those; or leave out {flag}.",
        )
    texts = {
        "the number of parts": str(parts),
        "the version of Spark": lines.sparkSession.version,
        "the files (paths, sizes, times)": "\n".join(_files(lines.sparkSession, plan)),
        "how files are split into parts": "\n".join(_splits(lines, rdd, flag)),
        "the query, its columns or their types": "\n".join([*columns, *_schemas(plan), _text(plan), *_lenient(lines)]),
        "the options of Spark's reader": "\n".join(_options(plan)),
        **_settings(lines.sparkSession),
    }
    return tuple((name, short_hash(text)) for name, text in texts.items())


def short_hash(text: str) -> str:
    """Return a hash that identifies a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _children(node: Any) -> Iterator[Any]:  # noqa: ANN401 - the JVM's objects
    children = node.children()
    return (children.apply(index) for index in range(children.size()))


def _reasons(plan: Any) -> Iterator[str]:  # noqa: ANN401 - the JVM's objects
    """Yield why a plan's parts may differ in another run. The files of a subquery would not be in the fingerprint."""
    if not plan.subqueries().isEmpty():
        yield "it has a subquery"
    if class_of(plan) not in _NARROW and not _is_empty(plan):
        yield f"its plan has the step {class_of(plan)}"
    for child in _children(plan):
        yield from _reasons(child)
    if not plan.deterministic():
        expressions = plan.expressions()
        for index in range(expressions.size()):
            yield from _chances(expressions.apply(index))


def _is_empty(plan: Any) -> bool:  # noqa: ANN401 - the JVM's object
    """Return whether a plan is what Spark makes of a query that has no rows, such as WHERE false."""
    return class_of(plan) == "LocalRelation" and bool(plan.data().isEmpty())


def _chances(expression: Any) -> Iterator[str]:  # noqa: ANN401 - the JVM's objects
    """Yield the parts of an expression that are not the same in each run."""
    if expression.deterministic():
        return
    below = [child for child in _children(expression) if not child.deterministic()]
    for child in below:
        yield from _chances(child)
    if not below and class_of(expression) not in _SAME_IN_EACH_RUN:
        yield f"it uses {expression.prettyName()}"


def _schemas(plan: Any) -> Iterator[str]:  # noqa: ANN401 - the JVM's objects
    """Yield the names and types of the columns that a plan reads: its own text has neither."""
    return (str(leaf.schema().json()) for leaf in leaves(plan))


def _options(plan: Any) -> Iterator[str]:  # noqa: ANN401 - the JVM's objects
    """Yield the options with which files are read."""
    for leaf in filter(is_file_scan, leaves(plan)):
        yield from sorted(str(leaf.relation().options().mkString("\n")).split("\n"))


def _settings(spark: SparkSession) -> dict[str, str]:
    """Return the settings of Spark SQL that matter, by name: plans do not show them, and values may depend on any.

    One that is set to its default is as one that is not set.
    """
    # PySpark 3.5 has no public way to all settings.
    lines = str(spark._jsparkSession.conf().getAll().mkString("\n")).split("\n")  # noqa: SLF001 - see above
    stated = dict(line.partition(" -> ")[::2] for line in lines)
    told = {name: text for name, text in stated.items() if name.startswith("spark.sql.") and not _HARMLESS.match(name)}
    kept = {name: told[name] for name in _not_default(spark, sorted(told))}
    return {**kept, **{name: str(spark.conf.get(name)) for name in _OF_THE_ENVIRONMENT}}


def _not_default(spark: SparkSession, names: Sequence[str]) -> Iterator[str]:
    """Yield those of some settings without which Spark would do something else, as far as it knows them.

    A default may be another setting. So each is left out in turn, and stays out if its value is the same without it.
    """
    # PySpark has no public way to defaults, nor to settings that are no session's.
    internal: Any = spark.sparkContext._jvm.org.apache.spark.sql.internal  # type: ignore[union-attr]  # noqa: SLF001 - see above
    entries = getattr(getattr(internal, "SQLConf$"), "MODULE$")
    conf = spark._jsparkSession.sessionState().conf().clone()  # noqa: SLF001 - see above
    for name in names:
        entry = entries.getConfigEntry(name)
        if entry is None:  # such as those of a catalog
            yield name
            continue
        text, value = conf.getConfString(name), conf.getConf(entry)
        conf.unsetConf(name)
        if conf.getConf(entry) != value:
            conf.setConfString(name, text)
            yield name


def _own_functions(lines: DataFrame, plan: Any) -> str:  # noqa: ANN401 - the JVM's object
    """Return why a plan with functions of the user's own is refused; empty if there are none. Their code is not seen.

    Python's are steps of a plan.
    """
    jvm: Any = lines.sparkSession.sparkContext._jvm  # noqa: SLF001 - PySpark shows plans as text only
    pattern = jvm.org.apache.spark.sql.catalyst.trees.TreePattern.SCALA_UDF()
    is_found = plan.containsPattern(pattern) or _HIVES.search(_text(plan))
    return "it uses a function of your own, whose code may change" if is_found else ""


def _files(spark: SparkSession, plan: Any) -> Iterator[str]:  # noqa: ANN401 - the JVM's objects
    """Yield the files of a plan with their sizes, times of modification and, on S3, ETags.

    Raises:
        UsageError: The files have changed since Spark listed them, when the DataFrame was made: a run would copy parts
            of what they were, and of what they are.
    """
    for leaf in filter(is_file_scan, leaves(plan)):
        listed = statuses(leaf)
        now = listed_now(spark, leaf) if listed else frozenset()
        changed = [status for status in listed if status not in now]
        if changed:
            raise UsageError(
                f"{len(changed)} of the {len(listed)} files of the DataFrame have changed since Spark listed them.",
                "Read them again, by a new DataFrame; of a table, after REFRESH TABLE.",
            )
        yield from listed


def _splits(lines: DataFrame, rdd: RDD[Any], flag: str) -> Iterator[str]:
    """Yield the pieces of files in each part.

    Raises:
        UsageError: A part is not one of Spark's own partitions of files.
    """
    if not any(map(is_file_scan, leaves(optimized_plan(lines)))):
        return
    # PySpark has no public access to the partitions of an RDD.
    jvm: Any = lines.sparkSession.sparkContext._jvm  # noqa: SLF001 - see above
    for partition in rdd._jrdd.rdd().partitions():  # noqa: SLF001 - see above
        if class_of(partition) != "FilePartition":
            raise UsageError(
                f"A load with {flag} could not be resumed: each part is a {class_of(partition)}, and another run may "
                "divide the input into other parts.",
                f"Leave out {flag}.",
            )
        yield str(jvm.scala.runtime.ScalaRunTime.stringOf(partition.files()))


def _text(plan: Any) -> str:  # noqa: ANN401 - the JVM's object
    """Return a plan as text that is the same in each run."""
    places: dict[str, str] = {}
    text = _shown(plan.canonicalized())
    return _LAMBDA.sub(lambda found: places.setdefault(found.group(), f"lambda {len(places)}"), text)


def _lenient(lines: DataFrame) -> list[str]:
    """Return the functions of a query that its optimized plan shows as others: try_add(a, b) is a + b there."""
    # PySpark shows plans as text only.
    return _LENIENT.findall(_shown(lines._jdf.queryExecution().analyzed()))  # noqa: SLF001 - see above


def _shown(plan: Any) -> str:  # noqa: ANN401 - the JVM's object
    """Return a plan as text, with all of its columns."""
    # Text is made by the settings of the active session, also that of another session's plan.
    with setting(SparkSession.active(), *_ALL_FIELDS):
        return str(plan.toString())
