"""Which wheel a package was installed from, by what a lock of PEP 751 and its own tags tell."""

from __future__ import annotations

import pytest

from pgjobs.archive.packages.wheels import Wheel, hashes, origin, read

TWO = Wheel("six", "1.17.0", "six-1.17.0-py2.py3-none-any.whl", "a" * 64)
OLD = Wheel("numpy", "2.2.6", "numpy-2.2.6-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "b" * 64)
MUSL = Wheel("numpy", "2.2.6", "numpy-2.2.6-cp311-cp311-musllinux_1_2_x86_64.whl", "c" * 64)
WHEEL_FILE = "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\n"


def test_an_index_and_a_file_are_read() -> None:
    lock = {
        "packages": [
            {
                "name": "Six",
                "version": "1.17.0",
                "wheels": [{"url": f"https://host/a%2Bb/{TWO.file}", "hashes": {"sha256": TWO.sha256}}],
            },
            {
                "name": "mine",
                "version": "1.0",
                "archive": {"path": "/home/me/mine-1.0-py3-none-any.whl", "hashes": {"sha256": "d" * 64}},
            },
            {"name": "none", "version": "1", "wheels": [{"name": "none-1-py3-none-any.whl", "hashes": {}}]},
        ]
    }
    assert read(lock) == [TWO, Wheel("mine", "1.0", "mine-1.0-py3-none-any.whl", "d" * 64)]
    assert read({}) == []


def test_a_files_name_stands_for_all_its_tags() -> None:
    assert TWO.tags == {"py2-none-any", "py3-none-any"}
    assert Wheel("p", "1", "p-1-2-py3-none-any.whl", "").tags == {"py3-none-any"}, "with a build number"


@pytest.mark.parametrize(
    ("package", "version", "wheel_file", "found"),
    [
        ("NumPy", "2.2.6", WHEEL_FILE, OLD),
        ("numpy", "2.2.6", "Tag: cp311-cp311-musllinux_1_2_x86_64\n", MUSL),
        ("numpy", "2.2.6", "Tag: py3-none-any\n", None),
        ("numpy", "2.2.5", WHEEL_FILE, None),
        ("six", "1.17.0", "", TWO),
    ],
)
def test_the_wheel_of_a_package_is_the_one_with_its_tags(
    package: str, version: str, wheel_file: str, found: Wheel | None
) -> None:
    assert origin(package, version, wheel_file, [TWO, OLD, MUSL]) == found


def test_the_hashes_of_a_requirements_file_are_those_of_each_package() -> None:
    first, second = "1" * 64, "2" * 64
    lock = (
        f"# made by\nPython_Dateutil==2.9.0 ; python_version > '3' \\\n    --hash=sha256:{first} \\\n"
        f"    --hash=sha256:{second}\n    # via pg8000\nsix==1 --hash=sha256:{second}\n"
    )
    assert hashes(lock) == {"python-dateutil==2.9.0": {first, second}, "six==1": {second}}
