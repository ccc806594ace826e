"""Completion of a shell knows the commands and their flags."""

from __future__ import annotations

import pytest
from emr_runs import console

from pgjobs.__main__ import main
from pgjobs.cli.command_flags import SHELLS
from pgjobs.errors import OK


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_commands_and_flags(shell: str) -> None:
    pytest.importorskip("shtab", reason="the environment is older than the lock file")
    terminal, out, _ = console()
    assert main(["completion", shell], {}, terminal) == OK
    assert "run-local" in out.getvalue()
    assert "any-application" in out.getvalue()  # tcsh adds the dashes
