#!/usr/bin/env bash
# ansible-test sanity on a copy of the checkout, at the path that it insists on; no ignore files exist.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
copy=$root/.build/sanity/ansible_collections/nanoagent/k8s
# Where the local cluster's binary is kept too: a new clone finds the virtual environments of ansible-test there.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nanoagent-k8s/sanity
mkdir -p "$copy" "$cache/.ansible/test/cache"
# What ansible-test has installed stays, below tests/output.
find "$copy" -mindepth 1 -path "$copy/tests/output" -prune -o -not -type d -exec rm -f {} +
git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
    tar --null --files-from=- --create --file=- | tar --extract --directory="$copy"
git -C "$copy" init --quiet
git -C "$copy" add --all

# ansible-test keeps its virtual environments and this script below HOME, so that a second run is quick.
requirements=$("$root/.venv/bin/python" -c 'import ansible_test._internal.python_requirements as module; print(module.__file__)')
name=$(sed -nE "s/.*pip='([0-9.]+)'.*/\1/p" "$requirements" | head -n 1 | tr . _)
cp tests/tools/pip_bootstrap.py "$cache/.ansible/test/cache/get_pip_$name.py"
version=$("$root/.venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cd "$copy"
HOME=$cache PATH=$root/.venv/bin:$PATH exec "$root/.venv/bin/ansible-test" sanity --venv --python "$version" --color no "$@"
