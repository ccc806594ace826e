"""The tables of a release, which one transaction publishes: `arrange` decides by their foreign keys which comes first.

`foreign_keys` reads these from the catalog, and refuses tables that cannot be published together.
"""
