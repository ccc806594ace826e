"""A new project: its name, and that nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emr_runs import console

from pgjobs.__main__ import main
from pgjobs.archive.project import OF_PYTHON, read_project
from pgjobs.cli.init import package_name
from pgjobs.errors import OK, WRONG_USAGE, DeployError


@pytest.mark.parametrize(("folder", "name"), [("shop", "shop"), ("Shop-Jobs", "shop_jobs"), ("a.b c", "a_b_c")])
def test_the_package_is_named_after_the_folder(folder: str, name: str) -> None:
    assert package_name(folder) == name


@pytest.mark.parametrize("folder", ["2fast", "jobs", "pg8000", "büro", ""])
def test_what_is_no_name_is_refused_with_the_way_out(folder: str) -> None:
    with pytest.raises(DeployError, match="give another one, --name my_jobs"):
        package_name(folder)


@pytest.mark.parametrize("folder", ["class", *(["json"] if OF_PYTHON else [])])
def test_a_package_that_python_could_not_import_or_that_hides_one_of_pythons_is_refused(folder: str) -> None:
    with pytest.raises(DeployError, match=f"{folder} is a word or a module of Python itself"):
        package_name(folder)


def test_the_way_into_a_folder_with_blanks_can_be_pasted(tmp_path: Path) -> None:
    terminal, out, _ = console()
    assert main(["init", str(tmp_path / "shop jobs")], {}, terminal) == OK
    assert f"cd '{tmp_path}/shop jobs'\n" in out.getvalue()


def test_a_project_is_written_once_and_is_configured(tmp_path: Path) -> None:
    terminal, out, err = console()
    folder = tmp_path / "shop-jobs"
    assert main(["init", str(folder), "--json"], {}, terminal) == OK
    answer = json.loads(out.getvalue())
    assert answer["package"] == "shop_jobs"
    assert all((folder / name).is_file() for name in answer["files"])
    assert read_project(folder).entrypoints == {"nightly_totals": "shop_jobs.nightly_totals"}
    assert "acme" not in "".join((folder / name).read_text() for name in answer["files"])
    (folder / "Makefile").write_text("mine")
    assert main(["init", str(folder)], {}, terminal) == WRONG_USAGE
    assert "nothing was written" in err.getvalue()
    assert (folder / "Makefile").read_text() == "mine"


def test_the_job_has_about_forty_lines_and_the_makefile_five() -> None:
    from pgjobs.cli.init import project

    texts = project("shop")
    code = [line for line in texts["src/shop/nightly_totals.py"].splitlines() if line.strip()]
    assert len(code) <= 45
    assert len(texts["Makefile"].splitlines()) == 5
