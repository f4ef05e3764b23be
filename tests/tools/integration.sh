#!/usr/bin/env bash
# Tests that need a kernel or a cluster: the collector's own, the modules' on the running cluster, the molecule scenario.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/.venv/bin:$PATH

# clang 14 rebuilds the checked-in eBPF objects; skopeo judges images from outside; chromium shows the report's page.
missing=()
command -v clang >/dev/null || missing+=(clang)
command -v llvm-strip >/dev/null || missing+=(llvm)
[ -e /usr/include/bpf/bpf_helpers.h ] || missing+=(libbpf-dev)
command -v skopeo >/dev/null || missing+=(skopeo)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium fonts-dejavu-core)
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]} ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

echo "The collector's own tests"
make --no-print-directory -C files/ebpf vet test GO="$(python tests/tools/find_go.py)"
log=$(mktemp)
beside() {
    echo "The cluster monitor"
    make --no-print-directory -C files/monitor vet test GO="$(python tests/tools/find_go.py)"
    echo "The report's page in a browser"
    pytest -q tests/browser
    # Tests with clusters of their own compare the machine before and after: one at a time.
    # Whoever brings a cluster wants none of ours started.
    if [ -z "${KUBECONFIG:-}" ] || [ -z "${REGISTRY:-}" ]; then
        echo "The local cluster itself"
        pytest -q -m own_cluster tests/integration
    fi
    echo "The molecule scenario"
    (cd extensions && molecule test)
}
# Not in a condition, where a failure would not end it.
(set -e; beside) >"$log" 2>&1 &
beside=$!
failed=0
echo "The modules and roles on the cluster"
# A file stays on one worker: its tests share what is dear to set up.
pytest -q -n 4 --dist loadfile --durations 40 -m "not own_cluster" tests/integration || failed=1
wait "$beside" || failed=1
cat "$log"
rm -f "$log"
[ "$failed" = 0 ]
