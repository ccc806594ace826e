"""Packs the archive for EMR Serverless, submits jobs, follows them. For a laptop or CI; the jobs never import it."""
