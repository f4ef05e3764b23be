"""Writes the go.mod and go.sum that pin one Kubernetes minor: `python3 pin.py 1.36.3`. For maintainers; the result is checked in."""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PINS = {
    "github.com/distribution/distribution/v3": "v3.0.0",
    "go.etcd.io/etcd/server/v3": "v3.6.8",
}
STAGING = re.compile(r"(k8s\.io/[a-z0-9-]+) => \./staging")


def go(*args):
    """Run go in the folder of the sources and return what it prints."""
    return subprocess.run(["go", *args], cwd=HERE, check=True, stdout=subprocess.PIPE, text=True).stdout


def module_text(version, kubernetes_mod):
    """The go.mod that builds Kubernetes `version`, given Kubernetes' own go.mod."""
    staging_version = "v0." + version.split(".", 1)[1]
    go_line = re.search(r"^go .*$", kubernetes_mod, re.MULTILINE).group()
    requires = {"k8s.io/kubernetes": f"v{version}", **PINS}
    lines = ["module kube", "", go_line, "", "require ("]
    lines += [f"\t{path} {pin}" for path, pin in sorted(requires.items())]
    lines += [")", "", "replace ("]
    lines += [f"\t{path} => {path} {staging_version}" for path in sorted(set(STAGING.findall(kubernetes_mod)))]
    return "\n".join([*lines, ")", ""])


def main():
    """Pin the version named on the command line."""
    version = sys.argv[1]
    downloaded = json.loads(go("mod", "download", "-json", f"k8s.io/kubernetes@v{version}"))
    minor = version.rsplit(".", 1)[0]
    target = HERE / "versions" / f"{minor}.mod"
    target.parent.mkdir(exist_ok=True)
    target.write_text(module_text(version, Path(downloaded["GoMod"]).read_text()))
    # Not `go mod tidy`: that also wants the dependencies of the dependencies' tests, and some of those are gone.
    go("list", "-deps", "-mod=mod", f"-modfile={target}", "./...")


if __name__ == "__main__":
    main()
