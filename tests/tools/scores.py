# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kube-score and checkov find in the objects that the module renders with its defaults, and with what is off by default.

Fails where they find something that is not listed in ACCEPTED, where something listed there is not found any more, and where they find
more in one of CASES than stands there. The vendor's agent is not judged: it is privileged and as its publisher made it
(docs/design.md has the numbers).
Both tools are fetched once into the user's cache folder: kube-score from its Go module, checkov from PyPI into a virtual
environment of its own (about 300 MB).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from checkout import CHECKOUT, collections_folder

KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
CHECKOV = "checkov==3.3.30"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nanoagent-k8s" / "scores"
IMAGE = "registry.example.com/security/collector@sha256:" + "0" * 64

# What is installed -> (options, critical findings of kube-score at most, failed checks of checkov at most); docs/design.md says the same.
CASES = {
    "the default installation": ({}, 3, 3),
    "with a cluster monitor": ({"monitor": {"enabled": True, "image": IMAGE.replace("collector", "monitor")}}, 4, 4),
    "with a seccomp profile that it delivers": ({"seccomp": {"type": "Localhost", "content": '{"defaultAction": "SCMP_ACT_ERRNO"}'}}, 8, 3),
}
# Finding -> why it stays.
ACCEPTED = {
    "kube-score: (collector) The container is running with a low user ID": "capabilities reach a process only as root",
    "kube-score: (collector) ImagePullPolicy is not set to Always": "the image is pinned by its digest, so a pull could bring nothing else",
    "kube-score: (collector) Ephemeral Storage limit is not set": "a busy node's log would get its agent evicted",
    "kube-score: (monitor) ImagePullPolicy is not set to Always": "as of the collector",
    "kube-score: (seccomp-profile) The container is running with a low user ID": "the kubelet's folder is root's",
    "kube-score: (seccomp-profile) The container running with a low group ID": "as above",
    "kube-score: (seccomp-profile) ImagePullPolicy is not set to Always": "as of the collector",
    "kube-score: (seccomp-profile) Ephemeral Storage limit is not set": "it writes one file outside the pod and ends",
    "kube-score: (seccomp-profile) Ephemeral Storage request is not set": "as above; the collector's own request counts for the pod",
    "checkov: CKV_K8S_38 Ensure that Service Account Tokens are only mounted where necessary": "the monitor watches the API; no other pod has one",
    "checkov: CKV_K8S_23 Minimize the admission of root containers": "capabilities reach a process only as root",
    "checkov: CKV_K8S_40 Containers should run as a high UID to avoid host conflict": "as above",
    "checkov: CKV_K8S_25 Minimize the admission of containers with added capability": "BPF and PERFMON are what eBPF needs; all others are dropped",
}


def kube_score() -> Path:
    """The program, built where it is missing."""
    program = CACHE / "kube-score-1.20.0"
    if not program.exists():
        print("Building kube-score ...", flush=True)
        go = subprocess.run([sys.executable, str(CHECKOUT / "tests/tools/find_go.py")], capture_output=True, text=True, check=True).stdout.strip()
        CACHE.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(CACHE), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
        subprocess.run([go, "install", KUBE_SCORE], env=environment, check=True, capture_output=True)
        (CACHE / "kube-score").rename(program)
    return program


def checkov() -> Path:
    """The program, installed where it is missing."""
    folder = CACHE / CHECKOV.replace("==", "-")
    if not (folder / "ready").exists():
        print("Installing checkov ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", CHECKOV], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "checkov"


def manifest(given: dict) -> str:
    """What the module renders with these options on top of its defaults."""
    sys.path.insert(0, str(collections_folder()))
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
    from ansible_collections.nanoagent.k8s.plugins.module_utils.render import rendered
    from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

    return rendered(ArgumentSpecValidator(argument_spec()).validate({"state": "rendered", "image": IMAGE, **given}).validated_parameters)["manifest"]


def kube_score_findings(path: Path) -> list[str]:
    """Its critical findings, each with its container and without the object's name."""
    done = subprocess.run([kube_score(), "score", "--output-format", "ci", str(path)], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))]
    if not lines and "[OK]" not in done.stdout:
        sys.exit(f"kube-score said nothing that can be understood: {done.stderr.strip() or done.stdout.strip()}")
    return ["kube-score: " + line.split(": ", 1)[1] for line in lines]


def checkov_findings(path: Path) -> list[str]:
    """Its failed checks, one an object."""
    command = [checkov(), "--file", str(path), "--framework", "kubernetes", "--output", "json", "--compact", "--quiet", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
        passed = report["summary"]["passed"]
    except (ValueError, KeyError):
        sys.exit(f"checkov said nothing that can be understood: {done.stderr.strip()[-300:]}")
    if not passed:
        sys.exit("checkov has judged nothing")
    return [f"checkov: {check['check_id']} {check['check_name']}" for check in report["results"]["failed_checks"]]


def main() -> int:
    found, well = set(), True
    with tempfile.TemporaryDirectory(prefix="nanoagent-scores-") as folder:
        for number, (what, (given, *most)) in enumerate(CASES.items()):
            path = Path(folder) / f"{number}.yaml"
            path.write_text(manifest(given))
            findings = kube_score_findings(path), checkov_findings(path)
            well = well and all(len(one) <= limit for one, limit in zip(findings, most))
            print(f"{what}: kube-score {len(findings[0])} (at most {most[0]}), checkov {len(findings[1])} (at most {most[1]})")
            found |= {*findings[0], *findings[1]}
    for finding in sorted(found):
        print(f"{finding}\n    {ACCEPTED.get(finding, 'NOT ACCEPTED')}")
    gone = sorted(set(ACCEPTED) - found)
    for finding in gone:
        print(f"{finding}\n    IS NOT FOUND ANY MORE: take it out of ACCEPTED")
    return 0 if well and found == set(ACCEPTED) else 1


if __name__ == "__main__":
    sys.exit(main())
