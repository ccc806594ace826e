"""A table of what each release of EMR Serverless contains.

https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-versions.html

AWS documents the Spark version of each release. The interpreters are those of the release guide, which is for EMR on
EC2. For emr-7.0 to 7.13, the standard image is known to have Python 3.9. `--python` names another interpreter of an
image.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjobs.errors import DeployError

ARCHITECTURES = ("x86_64", "arm64")


@dataclass(frozen=True)
class Release:
    """A release label and the contents of its image.

    Attributes:
        pythons: Minor versions, the default first.
        javas: Major versions, the default first.
        glibc: The newest symbols that a compiled package may need.
    """

    label: str
    spark: str
    pythons: tuple[str, ...]
    javas: tuple[int, ...]
    glibc: tuple[int, int] = (2, 34)
    system: str = "Amazon Linux 2023"

    @property
    def python(self) -> str:
        """Return the path of the default interpreter."""
        return f"/usr/bin/python{self.pythons[0]}"


def _emr7(minor: int, spark: str, *pythons: str) -> Release:
    return Release(f"emr-7.{minor}.0", spark, pythons or ("3.9", "3.11"), (17,))


RELEASES = {
    release.label: release
    for release in (
        Release("emr-spark-8.1.0", "4.1.1", ("3.11", "3.13"), (17, 21)),
        Release("emr-spark-8.0.0", "4.0.2", ("3.11", "3.12", "3.13"), (17, 21)),
        _emr7(14, "3.5.8", "3.11"),
        _emr7(13, "3.5.6"),
        _emr7(12, "3.5.6"),
        _emr7(11, "3.5.6"),
        _emr7(10, "3.5.5"),
        _emr7(9, "3.5.5"),
        _emr7(8, "3.5.4"),
        _emr7(7, "3.5.3"),
        _emr7(6, "3.5.3"),
        _emr7(5, "3.5.2"),
        _emr7(4, "3.5.2"),
        _emr7(3, "3.5.1"),
        _emr7(2, "3.5.1"),
        _emr7(1, "3.5.0"),
        _emr7(0, "3.5.0", "3.9"),
    )
}
DEFAULT_RELEASE = "emr-spark-8.1.0"


def find_release(label: str) -> Release:
    """Return the release with a label.

    Raises:
        DeployError: The label is unknown. The message lists the known ones.
    """
    if label not in RELEASES:
        raise DeployError(
            f"There is no release {label!r} in this version of pgjobs. Known: {', '.join(RELEASES)}. "
            "For another one, name a known release with the same Spark, and --python."
        )
    return RELEASES[label]
