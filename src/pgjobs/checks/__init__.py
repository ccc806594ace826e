"""Checks of an existing archive.

`verification` compares it with its manifest, `sbom` lists its contents, `audit` looks up known vulnerabilities, and
`image` runs it in the image of EMR Serverless.
"""
