"""Packs the archive for EMR Serverless. Runs on a laptop or in CI; the jobs never import it."""
