#!/usr/bin/env bash
# Tests on the running cluster, and beside them what else takes long: the page's, those with clusters of their own, molecule.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/.venv/bin:$PATH

tests/tools/packages.sh
log=$(mktemp)
beside() {
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
beside >"$log" 2>&1 &
beside=$!
failed=0
echo "The modules and roles on the cluster"
# A file stays on one worker: its tests share what is dear to set up.
pytest -q -n 4 --dist loadfile --durations 40 -m "not own_cluster" tests/integration || failed=1
wait "$beside" || failed=1
cat "$log"
rm -f "$log"
[ "$failed" = 0 ]
