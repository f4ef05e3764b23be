#!/usr/bin/env bash
# Every linter, each with a line; stops at the first that finds something.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/.venv/bin:$PATH
export ANSIBLE_COLLECTIONS_PATH=$PWD/.build/collections

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

go=$(python tests/tools/find_go.py)

production() { (cd .build/collections/ansible_collections/nanoagent/k8s && ansible-lint --offline --strict --profile production -q); }
vet() { (cd "$1" && GOTOOLCHAIN=local "$go" vet ./... && test -z "$("${go%/*}/gofmt" -l .)"); }
no_path_of_this_machine() { ! git grep -nF -e "$PWD/" -- .; }
no_ignore_files() { ! ls tests/sanity/ignore-*.txt; }

step "ruff check" ruff check --quiet .
step "ruff format" ruff format --quiet --check .
step "roles have their modules' options" python tests/tools/role_options.py --check
step "ansible-lint, profile production" production
step "antsibull-docs" antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
step "antsibull-changelog" antsibull-changelog lint
step "go vet and gofmt, collector" vet files/ebpf
step "go vet and gofmt, cluster monitor" vet files/monitor
step "go vet and gofmt, sample workload" vet tests/demo/sample
step "go vet and gofmt, second registry" vet tests/judges
step "no path of this machine" no_path_of_this_machine
step "no sanity ignore files" no_ignore_files
step "ansible-test sanity" tests/tools/sanity.sh
