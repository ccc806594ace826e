"""The venv archive that EMR Serverless unpacks on every worker. Any machine builds the same bytes.

`target` is the Python, platform and release to build for (`releases` lists those of EMR), and `sources` selects the
project's files. `packages` are installed by hash. `interpreter` adds a Python if the release's own is not the wanted
one. `build` lays out the tree; `inspection`, `elf` and `probe` look for what would fail on the target; `tarball` packs
it. The `manifest` beside the archive describes its contents and its `provenance`.
"""
