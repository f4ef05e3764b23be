# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module registry_configuration: the files by which nodes pull from mirrors, in a folder."""

from __future__ import annotations

import os
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import nodes_containerd, nodes_openshift, nodes_registries_conf
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.file_tree import synchronise_tree
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import registry_host
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import table_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_label
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_registries import MARK, Server, Settings

FORMATS = {"containerd": nodes_containerd, "registries_conf": nodes_registries_conf, "openshift": nodes_openshift}
_FOLDERS = (nodes_containerd.FOLDER, *nodes_registries_conf.FOLDERS, nodes_openshift.FOLDER)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.DOTALL)


def work(options: dict, run: Run) -> dict:
    """The job of the module registry_configuration: brings the folder up to date; the module's result.

    In check mode nothing is written and the result is the same.

    :raises Failure: with one line for the user
    """
    check_dns_label("name", options["name"])
    wanted, notes = files(options)
    steps = synchronise_tree(options["dest"], wanted, _FOLDERS, MARK, run.check_mode)
    changed = [step for step in steps if step["action"] != "keep"]
    result = {"changed": bool(changed), "files": [{"action": step["action"], "path": step["path"]} for step in steps], "notes": notes}
    if run.diff:
        result["diff"] = [{"before": step["before"], "after": step["after"], "before_header": step["path"], "after_header": step["path"]} for step in changed]
    return result


def files(options: dict) -> tuple[dict[str, str], list[str]]:
    """Path below the folder -> text, and a line for each thing to know. Reads the files of authorities.

    :raises Failure: the table or an entry of `registries` is not usable, or a row cannot be said in a format
    """
    table = table_of(options["rewrites"])
    settings = Settings(options["name"], _servers(options["registries"]), options["fallback"], options["by_tag"])
    found, notes = {}, []
    for name in FORMATS:
        if name in options["formats"]:
            made, told = FORMATS[name].files(table, settings)
            found |= made
            notes += told
    return found, list(dict.fromkeys(notes))


def _servers(entries):
    found = {}
    for entry in entries:
        host = registry_host(entry["host"])
        if host in found:
            raise Failure(f"registries has {host} twice", "leave one entry a host")
        authority = _authority(entry["ca_cert"], host) if entry.get("ca_cert") else ""
        found[host] = Server(authority, entry["validate_certs"], entry["plain_http"])
    return found


def _authority(path, host):
    """The certificates in a file, without what stands between them."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8", errors="replace") as file:
            certificates = _CERTIFICATE.findall(file.read().replace("\r\n", "\n").rstrip("\n") + "\n")
    except OSError as error:
        raise Failure(f"ca_cert {path} of {host} cannot be read ({error.strerror})", "give the path of a PEM file on the machine that runs this") from None
    if not certificates:
        raise Failure(f"ca_cert {path} of {host} holds no certificate in PEM", "give the file of the authority that signed the registry's certificate")
    return "".join(certificates)
