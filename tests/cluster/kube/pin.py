"""Writes the go.mod and go.sum that pin one Kubernetes minor: `python3 pin.py 1.36.3`. For maintainers; the result is checked in.

A second argument names another folder of sources that import Kubernetes only: `python3 pin.py 1.29.6 ../../oracle/controller`. Its go.mod
asks for nothing that is not imported, so that a version can be pinned even where some of its modules are gone.
"""

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


def go(sources, *args):
    """Run go in a folder of sources and return what it prints."""
    return subprocess.run(["go", *args], cwd=sources, check=True, stdout=subprocess.PIPE, text=True).stdout


def module_text(name, version, kubernetes_mod, pins):
    """The go.mod of module `name` that builds Kubernetes `version`, given Kubernetes' own go.mod and the versions of other modules."""
    staging_version = "v0." + version.split(".", 1)[1]
    go_line = re.search(r"^go .*$", kubernetes_mod, re.MULTILINE).group()
    requires = {"k8s.io/kubernetes": f"v{version}", **pins}
    lines = [f"module {name}", "", go_line, "", "require ("]
    lines += [f"\t{path} {pin}" for path, pin in sorted(requires.items())]
    lines += [")", "", "replace ("]
    lines += [f"\t{path} => {path} {staging_version}" for path in sorted(set(STAGING.findall(kubernetes_mod)))]
    return "\n".join([*lines, ")", ""])


def main():
    """Pin the version named on the command line."""
    version = sys.argv[1]
    sources = Path(sys.argv[2]).resolve() if sys.argv[2:] else HERE
    downloaded = json.loads(go(sources, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"))
    minor = version.rsplit(".", 1)[0]
    target = sources / "versions" / f"{minor}.mod"
    target.parent.mkdir(exist_ok=True)
    target.write_text(module_text(sources.name, version, Path(downloaded["GoMod"]).read_text(), PINS if sources == HERE else {}))
    # Not `go mod tidy`: that also wants the dependencies of the dependencies' tests, and some of those are gone.
    go(sources, "list", "-deps", "-mod=mod", f"-modfile={target}", "./...")


if __name__ == "__main__":
    main()
