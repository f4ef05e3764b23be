#!/usr/bin/env bash
# Makes the project's virtual environment; on Debian and Ubuntu it installs what Python lacks for that.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
echo "Preparing Python in $folder (a minute the first time) ..."
if ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
    else
        echo "Python 3.10 or newer with its venv module is missing. Next: install python3 and python3-venv." >&2
        exit 1
    fi
fi
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -r "$here/tests/requirements.txt"
touch "$folder/ready"
