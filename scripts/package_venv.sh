#!/usr/bin/env bash
# Packs dist/pyspark_venv.tar.gz for EMR Serverless, on Linux or macOS, without Docker.
#   scripts/package_venv.sh [--release emr-spark-8.1.0] [--arch x86_64|arm64] [--with PACKAGE]... [--requirements FILE]...
#                           [--self-contained [--python 3.12]] [--output dist]
set -e
cd "$(dirname "$0")/.."
test -x .venv/bin/python || make --silent setup
exec .venv/bin/python -m pgjobs.cli.archive build "$@"
