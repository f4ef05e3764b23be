# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registration code that an operator or a driver keeps in a Secret: each new one reaches the agents once."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import credentials, release, rotation
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import facts_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

STORE = {"external_secret": {"store": "vault", "remote_key": "k"}}
AWS = {"aws_secrets_manager": {"secret_id": "s"}}
SOURCES = [STORE, AWS, {"aws_secrets_manager": {**AWS["aws_secrets_manager"], "sync_secret": "synced"}}]


def secret(value, key=credentials._KEY):
    return None if value is None else {"kind": "Secret", "data": {key: base64.b64encode(value.encode()).decode()}}


class Site:
    """One installation from run to run; what a run leaves is what the next one finds."""

    def __init__(self, **given):
        self.objects, self.given, self.value = {}, {"profile": "custom", **given}, None

    def run(self, before, after=None, **given):
        """A run that sees one value when it plans, and another when the agents are ready; the kinds of what it writes, as one text."""
        self.given.update(given)
        options = agent_options(**self.given)
        name, namespace = options["name"], options["namespace"]
        seen = {"parent": self.objects.get(("ConfigMap", namespace, name)), "objects": self.objects, "secret": secret(before)}
        facts = facts_of(options, {**seen, "kubernetes": (1, 36), "served": None, "cluster_uid": None}, [], [])
        desired = {identity(obj): obj for obj in desired_objects(options, facts)}
        steps = [{"desired": obj, "live": None, "action": "keep" if self.objects.get(key) == obj else "patch"} for key, obj in desired.items()]
        self.value = after
        desired[("ConfigMap", namespace, name)]["metadata"]["annotations"].update(release._code_that_came(self, options, steps))
        self.objects = desired
        return " ".join(step["desired"]["kind"] for step in steps if step["action"] != "keep")

    def get(self, *_which):
        """Of the cluster: the Secret, when the agents are ready."""
        return secret(self.value)

    def quiet(self, value):
        """Whether a run changes nothing."""
        return not self.run(value, value)

    def mark(self, kind="DaemonSet"):
        [workload] = [obj for obj in self.objects.values() if obj["kind"] == kind]
        return (workload["spec"]["template"]["metadata"].get("annotations") or {}).get(credentials.HASH)


@pytest.mark.parametrize("source", SOURCES)
def test_a_code_that_comes_after_the_agents_changes_nothing_and_each_new_one_replaces_them_once(source):
    site = Site(credentials=source)
    assert "DaemonSet" in site.run(None, "one") and site.mark() is None
    assert site.quiet("one") and site.quiet("one")
    assert "DaemonSet" in site.run("two", "two") and len(site.mark()) == 16
    assert site.quiet("two")
    assert "DaemonSet" in site.run("one", "one") and site.mark() is None
    assert site.quiet("one")


def test_a_code_that_is_there_before_the_agents_changes_nothing_either():
    site = Site(credentials=STORE)
    assert "DaemonSet" in site.run("one", "one") and site.quiet("one")
    assert "DaemonSet" in site.run("two", "two") and site.quiet("two")


def test_a_run_that_does_not_wait_leaves_it_to_the_next_one_to_remember_the_code():
    site = Site(credentials=STORE)
    site.run(None)
    assert site.run("one") == "ConfigMap" and site.quiet("one")
    assert "DaemonSet" in site.run("two")


def test_a_secret_that_is_gone_for_a_while_replaces_nothing():
    site = Site(credentials=STORE)
    site.run(None, "one")
    site.run("two", "two")
    assert site.quiet(None) and site.mark() and site.quiet("two")


def test_a_parent_that_has_forgotten_replaces_nothing():
    site = Site(credentials=STORE)
    site.run(None, "one")
    site.run("two", "two")
    site.objects = {key: obj for key, obj in site.objects.items() if obj["metadata"]["name"] != "nanoagent" or obj["kind"] != "ConfigMap"}
    assert site.run("two", "two") == "ConfigMap" and site.quiet("two")
    assert "DaemonSet" in site.run("one", "one") and site.quiet("one")


def test_another_secret_is_another_first_code():
    site = Site(credentials=AWS)
    site.run(None, "one")
    site.run("two", "two")
    assert "DaemonSet" in site.run(None, "three", credentials=SOURCES[2])
    assert site.mark() is None and site.quiet("three")


def test_the_vendor_s_monitor_gets_a_new_code_too():
    site = Site(profile="spyderbat", credentials=STORE, monitor={"enabled": True})
    site.run(None, "one")
    assert {"DaemonSet", "Deployment"} <= set(site.run("two", "two").split()) and site.mark("Deployment") == site.mark()


@pytest.mark.parametrize("source", SOURCES[:2])
def test_our_collector_reads_the_code_by_itself(source):
    options = agent_options(orc_url="https://backend.example", credentials=source)
    assert credentials.watched_secret(options) is None


def test_a_secret_without_the_key_holds_no_code():
    options = agent_options(profile="custom", credentials=STORE)
    assert credentials.secret_hash(options, secret("one", "other")) is credentials.secret_hash(options, {"data": None}) is None


def test_the_parent_tells_no_code():
    site = Site(credentials=STORE)
    site.run(None, "canary-f00dfeed-code")
    text = site.objects[("ConfigMap", "nanoagent", "nanoagent")]["metadata"]["annotations"][rotation.NOTE]
    assert text.startswith("nanoagent-credentials ") and "canary" not in text and len(text.split()[1]) == 16
