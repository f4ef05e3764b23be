#!/usr/bin/env bash
# Every linter, each with a line; stops at the first that finds something.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/.venv/bin:$PATH

step() {
    local title=$1 start=$SECONDS log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        printf '%4d s  %s\n' $((SECONDS - start)) "$title"
        rm -f "$log"
    else
        printf 'FAILED  %s\n' "$title"
        cat "$log"
        rm -f "$log"
        exit 1
    fi
}

go=$(.venv/bin/python tests/tools/find_go.py)
vet() { (cd "$1" && GOTOOLCHAIN=local "$go" vet ./... && test -z "$("${go%/*}/gofmt" -l .)"); }
collection=.build/collections/ansible_collections/nanoagent/k8s

step "ruff check" ruff check --quiet .
step "ruff format" ruff format --quiet --check .
step "ansible-lint, profile production" bash -c "cd $collection && ANSIBLE_COLLECTIONS_PATH='$PWD/.build/collections' ansible-lint --offline --strict --profile production -q"
step "antsibull-docs" antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
step "antsibull-changelog" antsibull-changelog lint
step "go vet and gofmt, collector" vet files/ebpf
step "no path of a machine, no ignore files" bash -c '! ls tests/sanity/ignore-*.txt 2>/dev/null | grep . && ! git grep -nE "(^|[^A-Za-z0-9_.])/(root|home)/[a-z]" -- . ":!docs" ":!tests/tools/lint.sh" | grep .'
step "ansible-test sanity" tests/tools/sanity.sh
