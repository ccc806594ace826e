"""docs/emr-serverless.md names flags, parameters and keys that exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cfnlint.decode import decode

from jobs.doctor import parse as doctor
from jobs.extract_table import parse as extract_table
from jobs.load_table import parse as load_table
from pgjobs.archive.releases import DEFAULT_RELEASE
from pgjobs.cli.command_flags import ADDING
from pgjobs.cli.options import parse
from pgjobs.submit.spark_conf import PYTHON_CONF

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "emr-serverless.md"
TEXT = DOCS.read_text()
TEMPLATE = decode(str(ROOT / "infra" / "template.yaml"))[0] or {}
OF_THE_AWS_CLI = {
    "--stack-name",
    "--template-file",
    "--capabilities",
    "--parameter-overrides",
    "--tags",
    "--query",
    "--output",
    "--cli-input-json",
}
FLAG = re.compile(r"(?<!\S)\[?`?(--[a-z][a-z-]*)")


def test_the_default_release_is_the_one_that_is_named() -> None:
    assert f"than `{DEFAULT_RELEASE}`, the default" in TEXT


def section(title: str) -> str:
    """A section's text, by its heading."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def helped(run: Callable[[list[str]], object], capsys: pytest.CaptureFixture[str], *commands: str) -> set[str]:
    """The flags that the help of these commands tells of."""
    for command in commands:
        with pytest.raises(SystemExit):
            run([command, "--help"])
    return set(FLAG.findall(capsys.readouterr().out))


def test_flags_of_the_archive_are_flags(capsys: pytest.CaptureFixture[str]) -> None:
    named = set(FLAG.findall(section("The archive")))
    assert {"--with", "--self-contained", "--python", "--interpreter"} <= named
    assert named <= helped(lambda words: parse(words, {}), capsys, "package", "verify")


def test_all_flags_are_somebodys(capsys: pytest.CaptureFixture[str]) -> None:
    deploying = helped(lambda words: parse(words, {}), capsys, *ADDING)
    loading = helped(lambda _: load_table(["--help"]), capsys, "")
    examining = helped(lambda _: doctor(["--help"]), capsys, "")
    extracting = helped(lambda _: extract_table(["--help"]), capsys, "")
    named = set(FLAG.findall(TEXT))
    assert {"--wait", "--dry-run", "--again", "--retries", "--secret-id", "--iam-auth", "--ssm-parameter"} <= named
    assert named <= deploying | examining | loading | extracting | OF_THE_AWS_CLI


def test_the_keys_are_those_of_the_request() -> None:
    keys = re.findall(r"^\| `(spark\.[\w.-]+)`", section("The archive"), re.MULTILINE)
    assert keys == ["spark.archives", *PYTHON_CONF]


def test_what_the_template_must_be_told_is_told() -> None:
    required = {name for name, body in TEMPLATE["Parameters"].items() if "Default" not in body}
    stated = set(re.findall(r"\b(\w+)=\S", section("1. The account").partition("```\n")[0]))
    assert required <= stated
    assert stated <= set(TEMPLATE["Parameters"])


def test_the_configuration_holds_what_the_template_puts_out() -> None:
    flags = {output["Description"].removeprefix("--") for output in TEMPLATE["Outputs"].values()}
    stated = re.findall(r"^([a-z-]+) = ", section("1. The account"), re.MULTILINE)
    assert stated == ["application-id", "role", "code", "logs"]
    assert set(stated) <= flags
