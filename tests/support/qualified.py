"""SQL as one would write it by hand, of what is qualified lest something planted be found."""

from __future__ import annotations

import re


def unqualified(sql: str) -> str:
    """Without pg_catalog."""
    plain = re.sub(r'OPERATOR\("?pg_catalog"?\.([^)]+)\)', r"\1", sql)
    return plain.replace("pg_catalog.", "")
