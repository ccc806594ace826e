"""The venv archive that EMR Serverless unpacks on every worker: packed on any laptop, the same bytes each time.

`target` says for which Python, platform and release, and `sources` which files of the project go in. `pins`, `wheels`
and `uv` settle and install the packages, by hash; `interpreter` adds a Python where the release's own is not the wanted
one. `build` lays the tree out, `inspection`, `elf` and `probe` look for what would fail there, and `tarball` packs it.
The `manifest` beside it says what is in it, and its `provenance`.
"""
