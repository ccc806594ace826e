"""What package says about the folder in which it runs."""

from __future__ import annotations

from pathlib import Path

from pgjobs.cli.packing import project_above


def test_a_folder_within_a_project_knows_whose_packages_it_would_not_pack(tmp_path: Path) -> None:
    file, within = tmp_path / "pyproject.toml", tmp_path / "src" / "acme"
    within.mkdir(parents=True)
    (tmp_path / "src" / "pyproject.toml").write_text("[tool.other]\n")
    file.write_text('[tool.pgjobs.deploy]\nregion = "eu-west-1"\n')
    assert project_above(within) is None
    (tmp_path / "src" / "pyproject.toml").write_text("[tool.pgjobs\n")  # which is not to be read
    file.write_text('[tool.pgjobs]\npackages = ["src/acme"]\n')
    assert project_above(within) == file
