#!/usr/bin/env bash
# The unit tests with each supported ansible-core that this Python can run, in virtual environments of their own.
set -euo pipefail
cd "$(dirname "$0")/../.."
for core in 2.16 2.17 2.18 2.19; do
    folder=.build/matrix/$core
    [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "ansible-core==$core.*" -r requirements.txt pytest
    echo "ansible-core $core"
    "$folder/bin/python" -m pytest -q tests/unit | tail -n 1
done
