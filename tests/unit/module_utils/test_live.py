# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of an API server before anything is planned, and what follows from its answers."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import look
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

CUSTOM = {"profile": "custom"}
STORE = {"external_secret": {"store": "vault", "remote_key": "k"}}
AWS = {"aws_secrets_manager": {"secret_id": "s"}}
PROMETHEUS, EXTERNAL, CSI = "monitoring.coreos.com/v1", "external-secrets.io/v1", "secrets-store.csi.x-k8s.io/v1"


class Bare:
    """A cluster that holds no object and serves these kinds: version of a group -> kinds. asked: the versions that were asked for."""

    def __init__(self, serves=None):
        self.serves, self.asked = serves or {}, []

    def parallel(self, calls):
        return [call() for call in calls]

    def version(self):
        return 1, 36

    def get(self, *_which):
        return None

    def list(self, *_which, **_selectors):
        return [], "1"

    def served(self, api_version):
        self.asked.append(api_version)
        return self.serves.get(api_version, set())


def looked(cluster, **given):
    return look(cluster, with_profile_defaults(agent_options(**given)))


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, []),
        ({"profile": "spyderbat"}, []),
        ({**CUSTOM, "credentials": {"existing_secret": {"name": "x"}}}, []),
        ({"metrics": {"scrape": "annotations"}}, []),
        ({"metrics": {"scrape": "auto"}}, [PROMETHEUS]),
        ({**CUSTOM, "credentials": AWS, "metrics": {"scrape": "auto"}}, [CSI, PROMETHEUS]),
    ],
)
def test_only_groups_that_an_option_needs_are_asked_for(given, asked):
    cluster = Bare({PROMETHEUS: {"PodMonitor"}, CSI: {"SecretProviderClass"}})
    looked(cluster, platform="none", **given)
    assert cluster.asked == asked


def test_the_default_asks_for_no_more_than_one_group():
    cluster = Bare()
    looked(cluster)
    assert len(cluster.asked) == 1


@pytest.mark.parametrize(("serves", "made"), [({"ServiceMonitor", "Prometheus"}, False), ({"ServiceMonitor", "PodMonitor"}, True), (set(), False)])
def test_a_group_without_the_kind_is_no_way_to_the_metrics(serves, made):
    desired = looked(Bare({PROMETHEUS: serves}), metrics={"scrape": "auto"})["desired"]
    assert ("PodMonitor" in {obj["kind"] for obj in desired}) is made
    assert ("prometheus.io/port" in (desired[-1]["spec"]["template"]["metadata"].get("annotations") or {})) is not made


@pytest.mark.parametrize("platform", ["auto", "none", "openshift"])
@pytest.mark.parametrize(
    ("given", "serves", "says"),
    [
        ({**CUSTOM, "credentials": STORE}, {}, f"the API server has no ExternalSecret of {EXTERNAL}"),
        ({**CUSTOM, "credentials": STORE}, {"external-secrets.io/v1beta1": {"ExternalSecret"}}, f"the API server has no ExternalSecret of {EXTERNAL}"),
        ({**CUSTOM, "credentials": STORE}, {EXTERNAL: {"SecretStore"}}, f"the API server has no ExternalSecret of {EXTERNAL}"),
        ({**CUSTOM, "credentials": AWS}, {}, f"the API server has no SecretProviderClass of {CSI}"),
        ({"metrics": {"scrape": "pod_monitor"}}, {PROMETHEUS: {"ServiceMonitor"}}, "the API server has no PodMonitor"),
        ({"metrics": {"scrape": "service_monitor"}}, {PROMETHEUS: {"PodMonitor"}}, "the API server has no ServiceMonitor"),
    ],
)
def test_a_missing_kind_is_said_before_anything_is_written(given, serves, says, platform):
    with pytest.raises(Failure) as caught:
        looked(Bare(serves), platform=platform, **given)
    assert says in caught.value.message and "Next: install " in caught.value.message and "\n" not in caught.value.message


def test_the_kinds_of_a_version():
    kinds = {"resources": [{"name": "podmonitors", "kind": "PodMonitor"}, {"name": "podmonitors/status", "kind": "PodMonitor"}, {"name": "x"}]}
    answers = iter([(200, kinds), (404, {"kind": "Status", "code": 404, "reason": "NotFound"}), (403, {"kind": "Status", "code": 403, "message": "no"})])
    with FakeApiServer(lambda *_: next(answers)) as server:
        cluster = Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url, "api_key": "a-token-of-this-test"})
        assert "PodMonitor" in cluster.served(PROMETHEUS) and cluster.served(PROMETHEUS) == set()
        with pytest.raises(Failure):
            cluster.served(PROMETHEUS)
    assert {path for _method, path, _query in server.seen} == {f"/apis/{PROMETHEUS}"}


def test_what_an_operator_made_with_our_labels_is_no_member():
    def made(name, **metadata):
        return {"kind": "PriorityClass", "metadata": {"name": name, **metadata}}

    class Copied(Bare):
        def list(self, kind, *_which, **_selectors):
            owner = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "e", "uid": "u", "controller": True}
            # One of the kinds that are looked through where the set's parent is not there.
            return ([made("copy", ownerReferences=[owner]), made("ours")] if kind == "PriorityClass" else []), "1"

    assert [member["metadata"]["name"] for member in looked(Copied())["seen"]["members"]] == ["ours"]
