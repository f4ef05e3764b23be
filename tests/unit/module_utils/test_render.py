# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options
from ansible_collections.nanoagent.k8s.plugins.module_utils.render import BUNDLE, KUSTOMIZATION, MARK, manifest_text, rendered
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

CANARY = "canary-f00dfeed"
LOGIN = {"registry": "registry.example", "username": "u", "password": CANARY, "secret_name": "login"}


def options(**given):
    defaults = {name: spec.get("default") for name, spec in argument_spec().items()}
    return {**defaults, "image": "registry.example/collector@sha256:" + "ab" * 32, **given}


def read(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_one_numbered_file_an_object_in_apply_order(tmp_path):
    result = rendered(options(render_dir=str(tmp_path)))
    files = read(tmp_path)
    assert result["changed"] and {os.path.basename(file["path"]) for file in result["files"]} == set(files)
    numbered = sorted(name for name in files if name[0] == "0")
    assert numbered[0] == "001-namespace-nanoagent.yml" and numbered[-1].endswith("-daemonset-nanoagent.yml")
    assert [yaml.safe_load(files[name]) for name in numbered] == result["manifests"]
    assert list(yaml.safe_load_all(files[BUNDLE])) == result["manifests"] == list(yaml.safe_load_all(result["manifest"]))
    assert yaml.safe_load(files[KUSTOMIZATION])["resources"] == numbered
    assert all(text.startswith(MARK.encode() + b"\n") and text.endswith(b"\n") for text in files.values())


def test_the_same_bytes_whatever_the_hash_seed(tmp_path):
    rendered(options(render_dir=str(tmp_path), tags={"b": "2", "a": "1"}, registry_login=LOGIN))
    program = (
        "import sys; sys.path[:0] = [{path!r}, {unit!r}]\n"
        "from test_render import LOGIN, options, rendered\n"
        "rendered(options(render_dir=sys.argv[1], tags={{'b': '2', 'a': '1'}}, registry_login=LOGIN))"
    ).format(path=next(path for path in sys.path if os.path.isdir(os.path.join(path, "ansible_collections", "nanoagent"))), unit=os.path.dirname(__file__))
    for seed in ("1", "2"):
        folder = tmp_path.with_name(f"seed{seed}")
        subprocess.run([sys.executable, "-c", program, str(folder)], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        assert read(folder) == read(tmp_path)


def test_a_second_rendering_changes_nothing_and_another_one_leaves_no_old_file(tmp_path):
    given = options(render_dir=str(tmp_path), priority_class={"name": "nanoagent", "create": True, "value": 5})
    (tmp_path / "notes.txt").write_text("theirs")
    predicted = rendered(given, check_mode=True, want_diff=True)
    assert os.listdir(tmp_path) == ["notes.txt"]
    first = rendered(given, want_diff=True)
    assert {**first, "files": first["files"]} == predicted and first["diff"]
    second = rendered(given, want_diff=True)
    assert not second["changed"] and second["diff"] == [] and {file["action"] for file in second["files"]} == {"keep"}
    less = options(render_dir=str(tmp_path))
    predicted = rendered(less, check_mode=True)
    assert rendered(less) == predicted and predicted["changed"]
    assert not [name for name in os.listdir(tmp_path) if "priorityclass" in name] and (tmp_path / "notes.txt").read_text() == "theirs"
    assert read(tmp_path)[KUSTOMIZATION].count(b"- 0") == len(predicted["manifests"])


def test_the_diff_names_what_the_parent_remembers_and_the_files_hold_it_whole(tmp_path):
    rendered(options(render_dir=str(tmp_path)))
    before = read(tmp_path)
    diff = rendered(options(render_dir=str(tmp_path), tags={"a": "b"}), check_mode=True, want_diff=True)["diff"]
    shown = {os.path.basename(part["after_header"]): part for part in diff}
    for name in ("002-configmap-nanoagent.yml", BUNDLE):
        was, now = (set(shown[name][side].splitlines()) for side in ("before", "after"))
        changed = sorted(line.split(" sha256:")[0].strip() for line in now - was if " sha256:" in line)
        assert [line.rpartition("-")[0] or line for line in changed] == ["ConfigMap nanoagent/nanoagent-collector", "DaemonSet nanoagent/nanoagent"]
        assert max(map(len, was | now)) < 300 and "  ServiceAccount nanoagent/nanoagent sha256:" in shown[name]["after"]
    assert read(tmp_path) == before and b'"kind":"DaemonSet"' in before[BUNDLE]


def test_the_diff_shows_as_it_is_what_only_looks_remembered(tmp_path):
    rendered(options(render_dir=str(tmp_path)))
    place = tmp_path / "002-configmap-nanoagent.yml"
    place.write_text(f'{MARK}\n---\ndata:\n  objects.json: |\n    [{{"kind": 5}}]\n    and more\n  x: |\n    [{{"kind":"A","metadata":{{"name":"n"}}}}]\n')
    [part] = rendered(options(render_dir=str(tmp_path)), check_mode=True, want_diff=True)["diff"]
    assert part["before"] == place.read_text() and " sha256:" in part["after"]


def test_a_secret_is_left_out_and_the_way_to_make_it_is_told(tmp_path):
    result = rendered(options(render_dir=str(tmp_path), registry_login=LOGIN), want_diff=True)
    [line] = result["left_out"]
    assert line == (
        "Secret nanoagent/login: kubectl create secret generic login --namespace=nanoagent"
        " --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=FILE"
    )
    texts = read(tmp_path)
    assert f"# Left out: {line}\n".encode() in texts[BUNDLE] and f"# Left out: {line}\n".encode() in texts[KUSTOMIZATION]
    assert CANARY not in str(result) and not any(CANARY.encode() in text for text in texts.values())


def test_a_secret_of_the_user_s_own_is_no_member_of_the_set():
    """With the Secret made as `left_out` says, the options that name it want the same objects."""
    with_login = rendered(options(registry_login=LOGIN))["manifests"]
    by_name = rendered(options(image_pull_secrets=["login"]))["manifests"]
    assert with_login == by_name and "Secret" not in str(with_login[1]["metadata"]["annotations"])


def test_a_named_platform_gets_what_it_asks_for_and_none_is_guessed():
    plain, openshift = rendered(options()), rendered(options(platform="openshift"))
    assert plain["notes"] == [] and rendered(options(platform="none"))["manifest"] == plain["manifest"]
    assert openshift["notes"] and openshift["manifest"] != plain["manifest"]


@pytest.mark.parametrize(("version", "by_field"), [(None, True), ("1.30", True), ("v1.36.3", True), ("1.29", False), ("v1.29.6-gke.1038000", False)])
def test_the_manifests_are_for_the_version_that_was_named(version, by_field):
    result = rendered(options(state="rendered", kubernetes_version=version, apparmor={"type": "RuntimeDefault", "profile": None}))
    template = result["manifests"][-1]["spec"]["template"]
    assert ("appArmorProfile" in template["spec"]["containers"][0]["securityContext"]) is by_field
    assert ("container.apparmor.security.beta.kubernetes.io/collector" in template["metadata"].get("annotations", {})) is not by_field


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"state": "rendered", "kubernetes_version": "newest"}, "kubernetes_version 'newest' is no version"),
        ({"state": "rendered", "kubernetes_version": ""}, "kubernetes_version '' is no version"),
        ({"state": "rendered", "kubernetes_version": "1.3"}, "put it in quotes"),
        ({"state": "present", "kubernetes_version": "1.29"}, "kubernetes_version means nothing to state present"),
    ],
)
def test_a_version_that_is_none_or_that_means_nothing_is_refused(given, message):
    with pytest.raises(Failure, match=message):
        check_options(options(**given))


@pytest.mark.parametrize(
    "value",
    ["y", "N", "1e3", "-.5e-3", "0o17", "0O17", "12.", "yes", "null", "1", "1.0", "0x1f", "1_000", "~", "2026-01-01", ""]
    # Go's reader leaves out _ before it looks for a number.
    + ["09_2024", "08_15", "0X1F", "0B101", "12_3e4", "1e5_0", "0777_8", "0_9", "-_5", "_1", "2024_01"],
)
def test_text_that_looks_like_something_else_is_quoted(value):
    text = manifest_text([{value or "empty": value}])
    assert f"'{value}'\n" in text and yaml.safe_load(text) == {value or "empty": value}
    if value:
        assert f"'{value}': " in text


@pytest.mark.parametrize("value", ["v1", "_", "__", "a_1", "1a", "1.2.3", "sha256", "0xyz", "-x", "e5", "1e", "09-2024", "10m"])
def test_text_that_is_nothing_else_stays_plain(value):
    assert manifest_text([{"key": value}]) == f"---\nkey: {value}\n"


def test_values_stay_plain_and_nothing_is_an_anchor():
    shared = {"a": 1}
    assert manifest_text([{"one": shared, "two": shared, "three": [True, 1.5, None, "text"]}]).count("&") == 0
    assert manifest_text([{"n1": [True, 1.5, 7, None, "text"]}]) == "---\nn1:\n- true\n- 1.5\n- 7\n- null\n- text\n"
    assert manifest_text([{"pem": "one\ntwo\n"}]) == "---\npem: |\n  one\n  two\n"
