# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module through its main(), in folders: check mode, apply, apply again, wrong input; what reads the files is in the integration tests."""

from __future__ import annotations

import os
import re

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_registries import MARK
from ansible_collections.nanoagent.k8s.plugins.modules import registry_configuration

CA = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"
MIRROR = "registry.example.com:5000"
CONTAINERD, CONF, SETS = "containerd/certs.d/{}/hosts.toml", "containers/registries.conf.d/nanoagent.conf", "openshift/{}.yaml"


def rows(*pairs):
    return [{"source": source, "destination": destination} for source, destination in pairs]


TABLE = rows(("ghcr.io/spyderbat", f"{MIRROR}/mirror/spyderbat"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "etc"


@pytest.fixture
def run(run_module, folder):
    def run(rewrites=TABLE, check_mode=False, diff=False, **options):
        return run_module(registry_configuration.main, {"dest": str(folder), "rewrites": rewrites, **options}, check_mode=check_mode, diff=diff)

    return run


@pytest.fixture
def authority(tmp_path):
    path = tmp_path / "company.pem"
    path.write_text(f"Company CA\n{CA}")
    return str(path)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def told(result, *words):
    return [note for note in result["notes"] if all(word in note for word in words)]


def test_check_apply_apply_again(run, folder):
    predicted = run(check_mode=True, diff=True)
    assert predicted["changed"] and not folder.exists()
    applied = run(diff=True)
    assert {**applied, "invocation": None} == {**predicted, "invocation": None}
    files = tree(folder)
    names = [CONTAINERD.format("ghcr.io"), CONF, SETS.format("imagedigestmirrorset"), SETS.format("imagetagmirrorset")]
    assert sorted(files) == sorted(names) == [os.path.relpath(file["path"], folder) for file in applied["files"]]
    assert all(text.startswith(f"{MARK}\n") for text in files.values()) and {file["action"] for file in applied["files"]} == {"create"}
    assert {part["after_header"]: part["after"] for part in applied["diff"]} == {str(folder / name): text for name, text in files.items()}
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for check_mode in (True, False):
        again = run(check_mode=check_mode, diff=True)
        assert again["changed"] is False and again["diff"] == [] and {file["action"] for file in again["files"]} == {"keep"}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_what_containerd_gets(run, folder):
    result = run(formats=["containerd"])
    assert tree(folder) == {
        CONTAINERD.format("ghcr.io"): f"""{MARK}
server = "https://ghcr.io"
capabilities = ["pull", "resolve", "push"]

[host."https://{MIRROR}/v2/mirror"]
  capabilities = ["pull", "resolve"]
  override_path = true
"""
    }
    assert told(result, "config_path") and told(result, MIRROR, "every image of ghcr.io")


def test_what_the_others_get(run, folder):
    run(formats=["registries_conf", "openshift"])
    files = tree(folder)
    assert (
        files[CONF]
        == f"""{MARK}

[[registry]]
prefix = "ghcr.io/spyderbat"
location = "ghcr.io/spyderbat"

[[registry.mirror]]
location = "{MIRROR}/mirror/spyderbat"
"""
    )
    digests, tags = (yaml.safe_load(files[SETS.format(kind)]) for kind in ("imagedigestmirrorset", "imagetagmirrorset"))
    mirrors = [{"source": "ghcr.io/spyderbat", "mirrors": [f"{MIRROR}/mirror/spyderbat"], "mirrorSourcePolicy": "AllowContactingSource"}]
    assert (digests["kind"], digests["apiVersion"], digests["metadata"]) == ("ImageDigestMirrorSet", "config.openshift.io/v1", {"name": "nanoagent"})
    assert digests["spec"] == {"imageDigestMirrors": mirrors} and tags["spec"] == {"imageTagMirrors": mirrors}


def test_an_authority_goes_along(run, folder, authority):
    result = run(registries=[{"host": MIRROR, "ca_cert": authority}])
    files = tree(folder)
    hosts = files[CONTAINERD.format("ghcr.io")]
    assert '  ca = "registry.example.com_5000.crt"\n' in hosts
    # The agent's image is named by the mirror, so nodes need its authority there too.
    own, said = files[CONTAINERD.format(MIRROR)], ['capabilities = ["pull", "resolve", "push"]', 'ca = "registry.example.com_5000.crt"']
    assert own.splitlines() == [MARK, f'server = "https://{MIRROR}"', *said, "", f'[host."https://{MIRROR}"]', *(f"  {line}" for line in said)]
    for place in (f"containerd/certs.d/ghcr.io/{MIRROR}".replace(":", "_") + ".crt", f"containerd/certs.d/{MIRROR}/registry.example.com_5000.crt"):
        assert files[place] == f"{MARK}\n{CA}"
    assert files[f"containers/certs.d/{MIRROR}/nanoagent.crt"] == f"{MARK}\n{CA}"
    config_map = yaml.safe_load(files[SETS.format("configmap")])
    assert config_map["data"] == {"registry.example.com..5000": CA} and config_map["metadata"]["namespace"] == "openshift-config"
    assert told(result, "additionalTrustedCA", config_map["metadata"]["name"])


@pytest.mark.parametrize(("about", "scheme", "skips"), [({"plain_http": True}, "http", False), ({"validate_certs": False}, "https", True)])
def test_an_insecure_mirror_is_named_as_such(run, folder, about, scheme, skips):
    result = run(registries=[{"host": MIRROR, **about}])
    files = tree(folder)
    hosts, own, conf = files[CONTAINERD.format("ghcr.io")], files[CONTAINERD.format(MIRROR)], files[CONF]
    assert f'[host."{scheme}://{MIRROR}/v2/mirror"]' in hosts and f'server = "{scheme}://{MIRROR}"' in own
    assert ("skip_verify = true" in hosts) is ("skip_verify = true" in own) is skips
    assert 'server = "https://ghcr.io"\ncapabilities = ["pull", "resolve", "push"]\n\n' in hosts
    assert f'location = "{MIRROR}/mirror/spyderbat"\ninsecure = true\n' in conf
    assert f'[[registry]]\nprefix = "{MIRROR}"\nlocation = "{MIRROR}"\ninsecure = true\n' in conf
    assert told(result, MIRROR, "insecureRegistries")


def test_a_source_s_own_facts_are_kept(run, folder):
    run(rows(("old.example", f"{MIRROR}/old")), registries=[{"host": "old.example", "plain_http": True}])
    files = tree(folder)
    assert (
        'server = "http://old.example"' in files[CONTAINERD.format("old.example")]
        and f'[host."https://{MIRROR}/v2/old"]' in files[CONTAINERD.format("old.example")]
    )
    assert 'location = "old.example"\ninsecure = true\n\n[[registry.mirror]]' in files[CONF]


def test_a_closed_network_asks_the_source_for_nothing(run, folder):
    run(rows(("ghcr.io", f"{MIRROR}/github"), ("ghcr.io/spyderbat", "two.example/x/spyderbat")), fallback=False)
    files = tree(folder)
    assert files[CONTAINERD.format("ghcr.io")] == (
        f'{MARK}\nserver = "https://{MIRROR}/v2/github"\ncapabilities = ["pull", "resolve"]\noverride_path = true\n\n'
        '[host."https://two.example/v2/x"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n\n'
        f'[host."https://{MIRROR}/v2/github"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n'
    )
    assert files[CONF].count("blocked = true") == 2
    assert {row["mirrorSourcePolicy"] for row in yaml.safe_load(files[SETS.format("imagetagmirrorset")])["spec"]["imageTagMirrors"]} == {"NeverContactSource"}


def test_mirrors_for_digests_only(run, folder):
    run(by_tag=False)
    files = tree(folder)
    assert SETS.format("imagetagmirrorset") not in files and SETS.format("imagedigestmirrorset") in files
    assert '  capabilities = ["pull"]\n' in files[CONTAINERD.format("ghcr.io")] and 'pull-from-mirror = "digest-only"' in files[CONF]


def test_docker_hub(run, folder):
    result = run(rows(("docker.io", f"{MIRROR}/hub"), ("nginx", "two.example/web/library/nginx"), ("docker.io/bitnami", "two.example/b/bitnami")))
    files = tree(folder)
    hosts = files[CONTAINERD.format("docker.io")]
    assert hosts.startswith(f'{MARK}\nserver = "https://registry-1.docker.io"\n')
    assert [line for line in hosts.splitlines() if line.startswith("[")] == [
        '[host."https://two.example/v2/b"]',
        '[host."https://two.example/v2/web"]',
        f'[host."https://{MIRROR}/v2/hub"]',
    ]
    prefixes = [line for line in files[CONF].splitlines() if line.startswith("prefix")]
    assert prefixes == [f'prefix = "docker.io{path}"' for path in ("", "/bitnami", "/library/bitnami", "/library/nginx", "/nginx")]
    assert told(result, "docker.io/library/bitnami, the official image") and not told(result, "docker.io/library/nginx, the official")


def test_what_no_longer_belongs_goes_and_what_is_foreign_stays(run, folder, authority):
    run(registries=[{"host": MIRROR, "ca_cert": authority}])
    (folder / "containers/registries.conf.d/own.conf").write_text("mine\n")
    (folder / "containerd/certs.d/own.example").mkdir()
    (folder / "containerd/certs.d/own.example/hosts.toml").write_text("mine\n")
    before = tree(folder)
    narrower = {"formats": ["registries_conf"], "name": "other"}
    predicted = run(check_mode=True, **narrower)
    assert tree(folder) == before
    assert run(**narrower)["files"] == predicted["files"]
    assert sorted(tree(folder)) == [
        "containerd/certs.d/own.example/hosts.toml",
        "containers/registries.conf.d/other.conf",
        "containers/registries.conf.d/own.conf",
    ]
    assert os.listdir(folder / "containerd/certs.d") == ["own.example"]
    assert run([], formats=["registries_conf"])["changed"] and run([])["changed"] is False
    assert sorted(tree(folder)) == ["containerd/certs.d/own.example/hosts.toml", "containers/registries.conf.d/own.conf"]


def test_a_foreign_file_in_the_way_is_left_and_nothing_is_written(run, folder):
    place = folder / CONTAINERD.format("ghcr.io")
    place.parent.mkdir(parents=True)
    place.write_text("mine\n")
    result = run()
    assert result["failed"] and f"{place} was not made by this collection" in result["msg"] and tree(folder) == {CONTAINERD.format("ghcr.io"): "mine\n"}


@pytest.mark.parametrize(
    ("rewrites", "options", "message"),
    [
        (rows(("ghcr.io/spyderbat", f"{MIRROR}/mirror")), {}, f"the row from ghcr.io/spyderbat to {MIRROR}/mirror.*as in {MIRROR}/mirror/spyderbat"),
        (rows(("ghcr.io/a/b", f"{MIRROR}/x-a/b")), {}, "hosts.toml cannot say the row"),
        (TABLE, {"fallback": False}, "cannot keep nodes from ghcr.io/spyderbat alone.*a row with the source ghcr.io"),
        (rows(("ghcr.io", "mirror")), {}, "without a registry"),
        (TABLE, {"name": "No_Name"}, "is no name that Kubernetes takes"),
        (TABLE, {"registries": [{"host": MIRROR, "ca_cert": "/none.pem"}]}, "ca_cert /none.pem of registry.example.com:5000 cannot be read"),
        (TABLE, {"registries": [{"host": MIRROR, "ca_cert": os.devnull}]}, "holds no certificate"),
        (TABLE, {"registries": [{"host": MIRROR}, {"host": MIRROR}]}, "twice"),
        (TABLE, {"registries": [{"host": "mirror"}]}, "the host 'mirror', which is no registry's name"),
        (TABLE, {"registries": [{"host": "a.example/b"}]}, "no registry's name"),
        (TABLE, {"formats": ["docker"]}, "formats"),
    ],
)
def test_wrong_input(run, folder, rewrites, options, message):
    result = run(rewrites, **options)
    assert result["failed"] and re.search(message, result["msg"]) and "\n" not in result["msg"] and not folder.exists()


def test_rows_that_containerd_cannot_say_are_for_the_others(run, folder):
    result = run(rows(("ghcr.io/spyderbat", f"{MIRROR}/mirror")), formats=["registries_conf", "openshift"], fallback=False)
    assert not result.get("failed") and f'location = "{MIRROR}/mirror"' in tree(folder)[CONF]


def test_a_folder_that_cannot_be_made(run_module, tmp_path):
    result = run_module(registry_configuration.main, {"dest": str(tmp_path / "a" / "b"), "rewrites": TABLE}, check_mode=True)
    assert result["failed"] and "cannot be made" in result["msg"]
