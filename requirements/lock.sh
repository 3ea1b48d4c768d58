#!/bin/sh
# Writes both locks anew: what runs (run.txt) and what also tests (dev.txt); hashes, no addresses.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header "$@"; }
lock pyproject.toml --group build --group dev --all-extras -o requirements/dev.txt
lock pyproject.toml --group build -c requirements/dev.txt -o requirements/run.txt
