# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods need, somebody else makes, and that is not there: said at once, the same in check mode, by the run and by a look ahead."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import agent, preflight
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.outside_objects import external_secret_targets, lacking, outside_needs
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec as agent_spec
from ansible_collections.nanoagent.k8s.plugins.modules.preflight import argument_spec as preflight_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer
from ansible_collections.nanoagent.k8s.tests.unit.fakes.cluster_objects import node

PLURALS = {kind.plural: kind.kind for kind in KINDS.values()}
CUSTOM = {"profile": "custom"}
EXISTING = {"profile": "custom", "credentials": {"existing_secret": {"name": "own", "key": "code"}}}
BACKEND = {"orc_url": "https://orc.example", "credentials": {"existing_secret": {"name": "own", "key": "code"}}}
AUTHORITIES = {**CUSTOM, "ca_bundle_config_map": {"name": "roots", "key": "ca.pem"}}
PULL = {"image_pull_secrets": ["puller"]}
VARIABLE = {"extra_env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "own", "key": "code"}}}]}
VOLUME = {"extra_volumes": [{"name": "v", "configMap": {"name": "map", "items": [{"key": "a", "path": "a"}, {"key": "b", "path": "b"}]}}]}
ACCOUNT = {"service_account": "theirs", "create_service_account": False}
PRIORITY = {"priority_class": {"name": "theirs", "create": False}}
RUNTIME = {"runtime_class": "theirs"}
DRIVER = {"extra_volumes": [{"name": "v", "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}}}]}

NODE = node(labels={"kubernetes.io/arch": "amd64"})
NODE["status"]["allocatable"] = {"cpu": "8", "memory": "16Gi", "pods": "110"}


class World:
    """A cluster with one node. held: "plural/name" -> object, of the namespace where there is one. refused: plurals that may not be read by name.

    asked: what was read by name or listed of ExternalSecrets.
    """

    def __init__(self, held=None, home=True, refused=(), targets=()):
        self.held, self.home, self.refused, self.targets = held or {}, home, refused, targets
        self.asked = []

    def answer(self, method, path, query):
        *_before, plural, last = ["", *path.strip("/").split("/")]
        if path == "/version":
            return 200, {"major": "1", "minor": "36"}
        if last == "selfsubjectaccessreviews":
            return 201, {"status": {"allowed": True}}
        if last in PLURALS and method == "GET":
            items = [NODE] if last == "nodes" else []
            if last == "externalsecrets" and "labelSelector" not in query:
                self.asked.append(last)
                items = [{"metadata": {"name": name, "namespace": "nanoagent"}, "spec": {"target": {"name": name}}} for name in self.targets]
            return 200, {"items": items, "metadata": {"resourceVersion": "1"}}
        if method != "GET":
            assert query["dryRun"] == "All", (method, path)
            return 201, {"metadata": {"name": "x"}, "spec": {"containers": []}}
        if plural == "namespaces" and self.home and last == "nanoagent":
            return 200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": last, "uid": "u"}}
        if plural in ("secrets", "configmaps", "serviceaccounts", "priorityclasses", "runtimeclasses"):
            self.asked.append(f"{plural}/{last}")
        if plural in self.refused:
            return 403, {"kind": "Status", "message": f'{plural} "{last}" is forbidden: User "u" cannot get resource "{plural}" in API group ""', "code": 403}
        found = self.held.get(f"{plural}/{last}")
        if found is None:
            return 404, {"kind": "Status", "message": "not found", "code": 404}
        return 200, {**found, "kind": PLURALS[plural], "metadata": {"name": last}}


def run(world, module=agent, spec=agent_spec, **given):
    with FakeApiServer(world.answer) as server:
        given = {"image": IMAGE, "host": server.url, "api_key": "a-token-of-this-test", "platform": "none", **given}
        checked = ArgumentSpecValidator(spec()).validate(given)
        assert not checked.error_messages, checked.error_messages
        return module.work(checked.validated_parameters, Run(check_mode=True, argument_spec=spec()))


def said(world, **given):
    with pytest.raises(Failure) as caught:
        run(world, **given)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("given", "held", "says"),
    [
        (EXISTING, {}, "the Secret nanoagent/own does not exist (credentials.existing_secret): no pod starts without it. Next: create it before the run"),
        (BACKEND, {}, "the Secret nanoagent/own does not exist (credentials.existing_secret)"),
        (BACKEND, {}, "use registration_code, which makes it"),
        (EXISTING, {"secrets/own": {"data": {"other": "eA=="}}}, "the Secret nanoagent/own has no key code (credentials.existing_secret)"),
        (EXISTING, {"secrets/own": {}}, "the Secret nanoagent/own has no key code"),
        (AUTHORITIES, {}, "the ConfigMap nanoagent/roots does not exist (ca_bundle_config_map)"),
        (AUTHORITIES, {}, "use ca_bundle, which makes it"),
        (AUTHORITIES, {"configmaps/roots": {"data": {"x": ""}, "binaryData": {"y": ""}}}, "the ConfigMap nanoagent/roots has no key ca.pem"),
        (VARIABLE, {}, "the Secret nanoagent/own does not exist (extra_env)"),
        (VOLUME, {"configmaps/map": {"data": {"a": "x"}}}, "the ConfigMap nanoagent/map has no key b (extra_volumes)"),
        (ACCOUNT, {}, "the ServiceAccount nanoagent/theirs does not exist (service_account): no pod starts without it. Next: create it before the run"),
        (ACCOUNT, {}, "or use create_service_account, which makes it"),
        (PRIORITY, {}, "the PriorityClass theirs does not exist (priority_class): no pod starts without it"),
        (PRIORITY, {}, "or use priority_class.create, which makes it"),
        (RUNTIME, {}, "the RuntimeClass theirs does not exist (runtime_class): no pod starts without it. Next: create it before the run, or set wait: false"),
        ({**VARIABLE, **VOLUME}, {}, "(extra_volumes); the Secret nanoagent/own does not exist (extra_env): no pod starts without them. Next: create them"),
    ],
)
def test_what_is_lacking_ends_the_run_before_anything_is_written(given, held, says):
    assert says in said(World(held), **given)
    # A look ahead says it beside everything else, and still has the plan.
    told = run(World(held), preflight, preflight_spec, skip=["image"], **given)
    errors = [one["evidence"] for one in told["checks"] if one["check"] == "plan" and one["result"] == "error"]
    assert not told["ok"] and errors and told["plan"].startswith("create "), told["checks"]


def test_a_namespace_that_is_not_there_holds_nothing_and_is_not_asked():
    world = World(home=False)
    assert "Next: create the namespace and it before the run, or use registration_code" in said(world, **EXISTING)
    watched = {"existing_secret": {"name": "own", "restart_on_change": True}}
    assert "create the namespace and it, or correct" in said(World(home=False), **{**EXISTING, "credentials": watched})
    assert world.asked == []


def test_what_lies_in_no_namespace_is_asked_for_without_one():
    world = World(home=False)
    assert "the PriorityClass theirs does not exist (priority_class): no pod starts without it. Next: create it before" in said(world, **PRIORITY)
    assert world.asked == ["priorityclasses/theirs"]
    assert "create the namespace and them before" in said(World(home=False), **PRIORITY, **ACCOUNT)
    assert run(World({"priorityclasses/theirs": {}}, home=False), **PRIORITY)["changed"]


@pytest.mark.parametrize("credentials", [{"existing_secret": {"name": "own"}}, {"existing_secret": {"name": "own", "restart_on_change": True}}])
def test_who_does_not_wait_may_have_it_made_after_the_run(credentials):
    result = run(World(home=False), **{**EXISTING, "credentials": credentials}, wait=False)
    assert "the Secret nanoagent/own does not exist (credentials.existing_secret): no pod starts without it" in result["notes"]
    assert result["changed"]


def test_a_missing_pull_secret_is_told_and_no_more():
    [note] = run(World(), **PULL)["notes"]
    assert note == "the Secret nanoagent/puller does not exist (image_pull_secrets): images are pulled without it"
    assert run(World(), preflight, preflight_spec, skip=["image"], **PULL)["notes"] == [note]


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (EXISTING, {"secrets/own": {"data": {"code": "eA=="}}}),
        (BACKEND, {"secrets/own": {"data": {"code": "eA=="}}}),
        (AUTHORITIES, {"configmaps/roots": {"binaryData": {"ca.pem": "eA=="}}}),
        (PULL, {"secrets/puller": {"data": {}}}),
        ({**VARIABLE, **VOLUME}, {"secrets/own": {"data": {"code": "eA=="}}, "configmaps/map": {"data": {"a": "", "b": ""}}}),
        ({**ACCOUNT, **PRIORITY, **RUNTIME}, {"serviceaccounts/theirs": {}, "priorityclasses/theirs": {}, "runtimeclasses/theirs": {}}),
    ],
)
def test_what_is_there_is_read_once_and_not_told(given, held):
    world = World(held)
    assert run(world, **given)["notes"] == [] and sorted(world.asked) == sorted([*held, *others(world.asked)])


def others(asked):
    """What every installation looks for by name: its own objects."""
    return [one for one in asked if one.partition("/")[2].startswith("nanoagent")]


def test_what_the_options_do_not_name_is_not_asked_for():
    world = World()
    run(world)
    assert world.asked == others(world.asked)


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "custom", "registration_code": "a-code"},
        {"registry_login": {"registry": "r.example", "username": "u", "password": "a-word", "secret_name": "puller"}, **PULL},
        {"extra_env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "own", "key": "code", "optional": True}}}]},
        {"extra_volumes": [{"name": "v", "secret": {"secretName": "own", "optional": True}}]},
        {"extra_volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "own", "optional": True}}]}}]},
        {"service_account": "default", "create_service_account": False},
        {"priority_class": {"name": "system-node-critical"}},
        {"priority_class": {"name": "own", "create": True, "value": 1000}},
    ],
)
def test_what_is_made_here_or_may_be_missing_is_not_lacking(given):
    assert run(World(), **given)["notes"] == []


def test_the_secret_of_an_operator_or_a_driver_of_ours_is_not_lacking():
    for source in ({"external_secret": {"store": "vault", "remote_key": "k"}}, {"aws_secrets_manager": {"secret_id": "s"}}):
        options = {**agent_options(profile="custom", credentials=source)}
        assert outside_needs(options, plan(desired_objects(options), {}, [], "nanoagent.k8s")) == []


def test_what_may_not_be_read_is_not_known_and_fails_nothing():
    assert run(World(refused=["secrets"]), **EXISTING)["notes"] == []
    told = run(World(refused=["secrets"]), preflight, preflight_spec, skip=["image"], **EXISTING)
    assert "whether the Secret nanoagent/own is there is not known: it may not be read" in [
        one["evidence"] for one in told["checks"] if (one["check"], one["result"]) == ("plan", "skipped")
    ]


def test_a_secret_that_somebody_else_is_told_to_make_is_waited_for():
    assert any("own does not exist" in note and "somebody else is to make it" in note for note in run(World(targets=["own"]), **EXISTING)["notes"])
    assert "does not exist" in said(World(targets=["other"]), **EXISTING)
    assert any("somebody else is to make it" in note for note in run(World(), **VARIABLE, **DRIVER)["notes"])
    # Only Secrets come so.
    assert "roots does not exist" in said(World(targets=["roots"]), **AUTHORITIES, **DRIVER)
    made = [{"kind": "ExternalSecret", "metadata": {"name": name, "namespace": "n"}} for name in "ab"]
    assert external_secret_targets([made[0], {**made[1], "spec": {"target": {"name": "c"}}}]) == {"a", "c"}


@pytest.mark.parametrize(
    ("action", "fields", "unready", "fatal"),
    [
        ("create", [], None, True),
        ("recreate", ["spec.selector"], 0, True),
        ("patch", ["spec.template.spec.containers"], 0, True),
        ("patch", ["spec.updateStrategy"], 0, False),
        ("keep", [], 0, False),
        ("keep", [], None, False),
        ("keep", [], 1, True),
    ],
)
def test_pods_that_all_run_do_so_without_it_until_they_start_again(action, fields, unready, fatal):
    options = agent_options(**EXISTING)
    daemon_set = desired_objects(options)[-1]
    live = None if action == "create" else {**daemon_set, "status": {"numberUnavailable": unready}}
    needs = outside_needs(options, [{"action": action, "fields": fields, "desired": daemon_set, "live": live}])
    [own] = lacking([need for need in needs if need["option"].startswith("credentials")], {("Secret", "nanoagent", "own"): None}, set())
    assert own["fatal"] is fatal and "no pod starts without it" in own["note"]
