"""Which account a server of root's runs as."""

from __future__ import annotations

import pwd

import pytest

from servermgr import stepdown
from servermgr.errors import DatabaseException


def entry(name: str) -> pwd.struct_passwd:
    if name != "nobody":
        raise KeyError(name)
    return pwd.struct_passwd((name, "x", 65534, 65533, "", "/", "/bin/false"))


def test_root_steps_down_to_the_first_account_there_is() -> None:
    assert stepdown.account_to_use(0, entry) == stepdown.Account("nobody", 65534, 65533)


def test_others_run_as_themselves() -> None:
    assert stepdown.account_to_use(1000, entry) is None


def test_root_without_an_account_is_told_to_add_one() -> None:
    def nobody_at_all(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    with pytest.raises(DatabaseException, match="useradd"):
        stepdown.account_to_use(0, nobody_at_all)
