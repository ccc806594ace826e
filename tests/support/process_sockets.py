"""Which process has a connection, by Linux's /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def process_of(port: int) -> int:
    """The id of the process that has a TCP connection from this local port."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return int(process.name)
    raise AssertionError(f"no process has port {port}")
