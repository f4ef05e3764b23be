# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: the demonstration from begin to end."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

from demonstration import environment, image, playbook, sight, tree, workload
from demonstration.checkout import collections_folder
from demonstration.cluster import DemoCluster
from demonstration.environment import Environment
from demonstration.objects import NAMESPACE
from demonstration.steps import Steps

STEPS = 5
ABOUT = """Installs the agent, proves that it sees every node, and shows what it sees of a sample workload.

With KUBECONFIG and REGISTRY both set it uses these; REGISTRY_USERNAME and REGISTRY_PASSWORD, REGISTRY_CA_CERT and
REGISTRY_PLAIN_HTTP=1 say how to reach the registry. Otherwise it starts a Kubernetes of its own on this machine."""


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration and return its exit code."""
    argparse.ArgumentParser(prog="python3 tests/demo", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(arguments)
    # A locale without line-drawing characters gets question marks instead of a traceback.
    sys.stdout.reconfigure(errors="replace")
    try:
        _demonstrate(Steps(STEPS))
    except Failure as failure:
        return _end_with(failure.message)
    except BrokenPipeError:
        # Whoever read the output has left; Python would complain once more when it closes it.
        sys.stderr.close()
        return 1
    except OSError as error:
        return _end_with(f"{error}.")
    except KeyboardInterrupt:
        return _end_with(f"interrupted; the next run removes the namespace {NAMESPACE} where it was left behind.", 130)
    return 0


def _end_with(message: str, code: int = 1) -> int:
    sys.stdout.flush()
    print(f"tests/demo: {message}", file=sys.stderr)
    return code


def _demonstrate(steps: Steps) -> None:
    own = environment.chosen_by_user(environment.os.environ)
    with steps.step("Your cluster and registry" if own else "A Kubernetes on this machine"):
        chosen = own or environment.start_local()
        environment.enter(chosen)
        cluster = DemoCluster({})
        workload.check_namespace(cluster)
        print(f"Kubernetes {'.'.join(map(str, cluster.version()))} of {chosen.kubeconfig}, registry {chosen.registry}")
    with steps.step("Collector image, installation, and a proof from every node"):
        playbook.run_site(chosen)
    since = time.monotonic()
    try:
        with steps.step("A sample workload: its image, then a shop and its visitor"):
            pods = _start_workload(cluster, chosen)
        with steps.step("What the collectors saw of it"):
            print("\n".join(tree.build(sight.watch(cluster, pods, since))))
    except BaseException:
        print(f"Removing the namespace {NAMESPACE} ...", flush=True)
        workload.remove(cluster)
        raise
    with steps.step("The sample workload is removed"):
        workload.remove(cluster)
    _closing(chosen, steps.elapsed)


def _start_workload(cluster: DemoCluster, chosen: Environment) -> dict[str, dict]:
    reference = image.build_and_push(chosen, workload.architectures(cluster))
    print(f"image {reference}", flush=True)
    pods = workload.start(cluster, chosen, reference)
    for pod in pods.values():
        print(f"pod {NAMESPACE}/{pod['metadata']['name']} on {pod['spec']['nodeName']}")
    return pods


def _closing(chosen: Environment, seconds: float) -> None:
    print(
        f"""
All of it took {seconds:.0f} s. The agent stays installed. To try next:
  export KUBECONFIG={chosen.kubeconfig}
  export PATH={playbook.programs_folder()}:$PATH ANSIBLE_COLLECTIONS_PATH={collections_folder()}
  ansible-playbook nanoagent.k8s.verify        # the proof again, for every node
  ansible-playbook nanoagent.k8s.uninstall     # take the agent away
  {chosen.kubectl} logs -n {sight.AGENT_NAMESPACE} daemonset/nanoagent --tail 5     # the events as JSON lines"""
    )
    if chosen.local:
        print("  make cluster-down                            # stop this Kubernetes and remove it")
