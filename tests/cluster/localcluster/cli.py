# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python3 tests/cluster up|down|status|kubeconfig|env`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from localcluster import cluster, registry
from localcluster.api import FAILURES
from localcluster.build import known_minors
from localcluster.parts import Parts
from localcluster.progress import Progress
from localcluster.state import NAME


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python3 tests/cluster", description="A real Kubernetes on one machine, for tests.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = _command(commands, "up", "make the cluster, or repair it; returns at once when all is well")
    start.add_argument("--nodes", type=int, help=f"real nodes, the first of them the control-plane node (default: {cluster.DEFAULT_NODES})")
    start.add_argument("--kubernetes", metavar="MINOR", help=f"one of {', '.join(known_minors())} (default: {cluster.DEFAULT_MINOR})")
    start.add_argument("--simulated", type=int, metavar="N", help="nodes that exist only in the API (default: 0)")
    _command(commands, "down", "remove the cluster and everything that belongs to it")
    _command(commands, "status", "a table of the cluster's parts; exit code 1 when one of them is not well")
    _command(commands, "kubeconfig", "print the path of the administrator's kubeconfig")
    _command(commands, "env", "print KEY=value lines for tests")
    return top


def environment(parts: Parts) -> dict[str, str]:
    """What tests need to know about a cluster."""
    return {
        "KUBECONFIG": str(parts.folder.kubeconfig),
        "REGISTRY": registry.plain_address(parts),
        "REGISTRY_TLS": registry.tls_address(parts),
        "REGISTRY_TLS_CA": str(parts.folder.pki / "registry-ca.crt"),
        "REGISTRY_TLS_USER": registry.USER,
        "REGISTRY_TLS_PASSWORD_FILE": str(registry.password_file(parts)),
        "AUDIT_LOG": str(parts.folder.audit_log),
        "KUBE_BINARY": parts.kube,
        "KUBECTL": parts.kubectl,
    }


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    # Where root's own commands are; some ways to become root leave them out.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    try:
        return _run(options)
    except FAILURES as failure:
        print(f"tests/cluster {options.command}: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"tests/cluster {options.command}: interrupted; the next `up` or `down` cleans up", file=sys.stderr)
    return 1


def _command(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--name", type=_name, default=cluster.DEFAULT_NAME, help=f"which cluster (default: {cluster.DEFAULT_NAME})")
    return command


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("up to 30 lower-case letters, digits and dashes, beginning and ending with a letter or digit")
    return text


def _run(options: argparse.Namespace) -> int:
    if options.command == "up":
        cluster.up(cluster.Wish(options.name, options.nodes, options.kubernetes, options.simulated), Progress())
    elif options.command == "down":
        cluster.down(options.name, Progress())
    else:
        parts = cluster.existing(options.name)
        if options.command == "status":
            return _print_status(parts)
        if options.command == "kubeconfig":
            print(parts.folder.kubeconfig)
        else:
            print("\n".join(f"{key}={value}" for key, value in environment(parts).items()))
    return 0


def _print_status(parts: Parts) -> int:
    rows = cluster.state_of(parts)
    width = max(len(what) for what, _state, _pid in rows)
    for what, state, pid in rows:
        print(f"{what:<{width}}  {state:<9}  {pid}".rstrip(" -"))
    return 0 if all(state in ("running", "Ready") or state.endswith(" Ready") for _what, state, _pid in rows) else 1
