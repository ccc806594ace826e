"""The files of a table and its partitions, by which it is noticed that rows may be gone: TRUNCATE makes new ones."""

from __future__ import annotations

import json

from jobs.dbaccess.session import Session

REPLACED = "it, or a partition of it, was emptied by TRUNCATE, detached, dropped or rewritten"
"""What happened if files are not kept, for messages."""


def files_of(session: Session, relation: int) -> str:
    """Return the files of a table and its partitions, by oid, as JSON.

    Args:
        session: A session of the table's database.
        relation: The table's oid.
    """
    return str(session.value(_FILES, relation, relation))


def are_kept(before: str, now: str) -> bool:
    """Return whether a table and its partitions have the files that they had. New partitions do not matter.

    Args:
        before: The files that they had, as `files_of` returned them.
        now: The files that they have.
    """
    files = json.loads(now)
    return all(files.get(relation) == file for relation, file in json.loads(before).items())


_FILES = """
SELECT coalesce(json_object_agg(relid::oid::bigint, pg_relation_filenode(relid)), '{}')::text FROM (
    SELECT %s::bigint::oid AS relid UNION SELECT relid FROM pg_partition_tree(%s::bigint::oid::regclass)
) AS tables WHERE pg_relation_filenode(relid) IS NOT NULL
"""
