"""Types that are more to us than a name: some of extensions, and composite types.

Somebody else may have a type `vector`, too, and an extension may be in any schema. So a type is recognized by the
extension that it belongs to, as the catalog records it.
"""

from __future__ import annotations

VECTOR, HALFVEC = "vector.vector", "vector.halfvec"
"""pgvector's: numbers of single and of half precision."""

HSTORE = "hstore.hstore"
GEOMETRY, GEOGRAPHY = "postgis.geometry", "postgis.geography"

COMPOSITE = "composite"
"""A type with fields of its own, or the row type of a table."""

VECTORS = frozenset({VECTOR, HALFVEC})
SPATIAL = frozenset({GEOMETRY, GEOGRAPHY})

_OF_EXTENSIONS = (*sorted(VECTORS), HSTORE, *sorted(SPATIAL))


def kind_of(type_: str) -> str:
    """Return the SQL expression for the kind of a type: one of the above, or an empty text.

    Args:
        type_: The alias of the type's row of pg_type in the statement.
    """
    known = ", ".join(f"'{kind}'" for kind in _OF_EXTENSIONS)
    return (
        f"CASE WHEN {type_}.typtype = 'c' THEN '{COMPOSITE}' ELSE coalesce((SELECT found FROM ("
        f"SELECT e.extname || '.' || {type_}.typname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid "
        f"WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = {type_}.oid AND d.deptype = 'e' "
        "AND d.refclassid = 'pg_catalog.pg_extension'::regclass"
        f") AS extension (found) WHERE found IN ({known})), '') END"
    )
