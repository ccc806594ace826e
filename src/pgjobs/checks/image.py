"""Checks an archive inside EMR Serverless's image. This needs Docker and the network.

    python -m pgjobs.checks.image dist/pyspark_venv.tar.gz [--release emr-spark-8.1.0] [--arch x86_64] [--image NAME]

The image's own Python runs probe.py from the unpacked archive. It checks that the interpreter and the packages are the
archive's, and that the job starts; and it shows which boto3, pandas and PyArrow are visible.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pgjobs.archive import probe
from pgjobs.archive.releases import ARCHITECTURES, DEFAULT_RELEASE, find_release
from pgjobs.archive.tarball import unpack
from pgjobs.errors import FAILED, OK, WRONG_USAGE, DeployError

NOT_CHECKED = 3
"""A separate exit status: an archive that could not be checked does not count as good."""

INSIDE = "/check"
"""The working directory in the container, with the environment and the probe."""

_PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
_DOCKER_FAILED, _CANNOT_EXECUTE, _NOT_FOUND = 125, 126, 127
"""The exit statuses of docker run itself. Others are those of the command."""


def image_of(release: str) -> str:
    """Return the name under which AWS publishes the image of a release.

    https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-custom-images.html
    """
    return f"public.ecr.aws/emr-serverless/spark/{release}:latest"


def run_command(docker: str, image: str, architecture: str, folder: Path) -> list[str]:
    """Return the command that runs the probe: read-only, as the image's own user, by the archive's interpreter."""
    return [
        docker, "run", "--rm", "--network", "none", "--platform", _PLATFORMS[architecture],
        "--volume", f"{folder}:{INSIDE}:ro", "--workdir", INSIDE,
        "--entrypoint", f"{INSIDE}/{probe.ENVIRONMENT}/bin/python",
        image, "-B", "probe.py",
    ]  # fmt: skip


def verdict(status: int, image: str, interpreter: str) -> tuple[int, str]:
    """Return the exit status and the sentence for a status of docker run."""
    if status == 0:
        return OK, f"The archive runs in {image}."
    if status == _DOCKER_FAILED:
        return NOT_CHECKED, "Not checked: Docker could not start the container."
    if status in (_CANNOT_EXECUTE, _NOT_FOUND):
        return FAILED, (
            f"{image} cannot run {interpreter}. Name an existing one with --python, or include one: "
            "pgjobs package --self-contained"
        )
    return FAILED, f"The archive does not run in {image}."


def check(archive: Path, architecture: str, image: str, docker: str) -> tuple[int, str]:
    """Unpack the archive and run the probe in a container. Returns an exit status and a sentence.

    Raises:
        DeployError: There is no such archive.
    """
    if not archive.is_file():
        raise DeployError(f"There is no archive {archive}: run pgjobs package.")
    if shutil.which(docker) is None:
        return NOT_CHECKED, f"Not checked: there is no {docker} here."
    if _fails([docker, "version"]):
        return NOT_CHECKED, "Not checked: no Docker engine answers. Start it, and try again."
    if _fails([docker, "image", "inspect", image]) and _fails(
        [docker, "pull", "--platform", _PLATFORMS[architecture], image]
    ):
        return NOT_CHECKED, f"Not checked: {image} cannot be pulled from here."
    with tempfile.TemporaryDirectory(prefix="pgjobs-image-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # the image has another user
        shutil.copy(probe.__file__, folder)
        unpack(archive, folder / probe.ENVIRONMENT)
        completed = subprocess.run(run_command(docker, image, architecture, folder), check=False)
        interpreter = (folder / probe.ENVIRONMENT / "bin" / "python").readlink()
    return verdict(completed.returncode, image, str(interpreter))


def _fails(command: Sequence[str]) -> bool:
    """Run a Docker command without output. Returns whether it failed."""
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check. Returns the exit status."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m pgjobs.checks.image",
        description="Check an archive inside EMR Serverless's image.",
        epilog="exit status: 0 good, 1 not good, 2 wrong usage, 3 not checked",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--release", default=DEFAULT_RELEASE, help=f"default: {DEFAULT_RELEASE}")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="x86_64", help="default: x86_64")
    parser.add_argument("--image", help="default: AWS's public one of the release")
    parser.add_argument("--docker", default="docker", metavar="PROGRAM", help="default: docker; podman, say")
    options = parser.parse_args(arguments)
    try:
        image = options.image or image_of(find_release(options.release).label)
        status, sentence = check(options.file, options.arch, image, options.docker)
    except (DeployError, tarfile.TarError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USAGE
    print(sentence, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
