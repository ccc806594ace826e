"""What the PostgreSQL that the tests start was built with: the one from a wheel lacks some of it."""

from __future__ import annotations

import subprocess

from servermgr import binaries


def build_has_tls() -> bool:
    """Whether the server's build knows TLS; the one in the wheel does not."""
    configured = subprocess.run(
        [binaries.find().bin / "pg_config", "--configure"], capture_output=True, text=True, check=False
    )
    return any(flag in configured.stdout for flag in ("--with-openssl", "--with-ssl"))
