"""The packages in an archive: each is known by its hash.

`pins` resolves those that the user adds, once. `uv` installs all of them, and `wheels` says which file each came from.
"""
