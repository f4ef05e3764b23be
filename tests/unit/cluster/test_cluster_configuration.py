# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster's parts are told."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml
from localcluster import build, controlplane, image, node, registry
from localcluster.cli import environment, parser
from localcluster.parts import Parts
from localcluster.state import Facts, Folder


@pytest.fixture(name="parts")
def fixture_parts(tmp_path, monkeypatch):
    """The parts of a cluster that was never started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Parts.of(Facts("test", 2, 3, "1.36", "/binaries", 0, "boot", complete=True))


def kubelet(minor="1.36", control_plane=False):
    """A kubelet's configuration."""
    return node.kubelet_configuration(
        minor, "198.18.0.11", "198.18.1.10", "/nanoagent-test/worker1", Path("/node"), Path("/pki"), "kubelet-worker1", control_plane
    )


def test_kubelet():
    """Nobody anonymous, everybody authorised by the API server, pod logs where agents look for them."""
    content = kubelet()
    assert content["authentication"]["anonymous"] == {"enabled": False}
    assert content["authorization"] == {"mode": "Webhook"}
    assert content["cgroupRoot"] == "/nanoagent-test/worker1"
    assert "podLogsDir" not in content
    assert "registerWithTaints" not in content
    assert kubelet(control_plane=True)["registerWithTaints"] == [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]


@pytest.mark.parametrize(("minor", "known"), [("1.29", False), ("1.30", False), ("1.31", True), ("1.36", True)])
def test_a_kubelet_is_told_nothing_that_it_does_not_know(minor, known):
    """An unknown field would keep an older kubelet from starting."""
    assert ("failCgroupV1" in kubelet(minor)) is known


def test_nothing_skips_verification(parts):
    """TLS is real everywhere."""
    commands = [
        controlplane.etcd_command(parts),
        controlplane.apiserver_command(parts),
        controlplane.controller_manager_command(parts),
        controlplane.scheduler_command(parts),
    ]
    flags = " ".join(flag for command in commands for flag in command)
    assert "insecure" not in flags and "http://" not in flags
    assert "--kubelet-certificate-authority=" in flags
    assert "--authorization-mode=Node,RBAC" in flags


def test_audit_policy_keeps_every_write():
    """Rules that drop something name the verbs that read, or paths of health."""
    rules = controlplane.audit_policy()["rules"]
    dropping = [rule for rule in rules if rule["level"] == "None"]
    assert all(set(rule.get("verbs", [])) == {"get", "list", "watch"} or "nonResourceURLs" in rule for rule in dropping)
    assert rules[-1] == {"level": "Metadata"}


def test_mounts_cover_what_a_node_has_for_itself():
    """The folders of a node, quoted for the shell."""
    script = node.mount_script(Path("/state of mine/worker1"))
    assert "mount --bind '/state of mine/worker1/log' /var/log" in script
    assert "mount --bind '/state of mine/worker1/kubelet' /var/lib/kubelet" in script
    assert "/run" in script and "/var/lib" in script and "/proc/sys/vm/overcommit_memory" in script
    assert script.splitlines()[-1] == "touch /run/node-ready"


def test_registry_hosts():
    """The registry with TLS is verified with its own authority."""
    assert node.hosts_configuration("http://198.18.0.1:5000").splitlines() == [
        'server = "http://198.18.0.1:5000"',
        "",
        '[host."http://198.18.0.1:5000"]',
        'capabilities = ["pull", "resolve"]',
    ]
    assert 'ca = "/pki/ca.crt"' in node.hosts_configuration("https://198.18.0.1:5443", Path("/pki/ca.crt"))


def test_registry_configuration():
    """Deletions are allowed; TLS and users come on top."""
    content = registry.configuration("198.18.0.1:5443", Path("/images"), "secret", http={"tls": {"key": "k"}}, auth={"htpasswd": {}})
    assert content["storage"]["delete"] == {"enabled": True}
    assert content["http"] == {"addr": "198.18.0.1:5443", "secret": "secret", "tls": {"key": "k"}}
    assert content["auth"] == {"htpasswd": {}}


def test_environment(parts):
    """The contract with tests and Makefile."""
    values = environment(parts)
    assert values["REGISTRY"] == "198.18.128.1:5000"
    assert values["REGISTRY_TLS"] == "198.18.128.1:5443"
    assert values["KUBECONFIG"] == str(Folder("test").kubeconfig)
    assert (values["KUBE_BINARY"], values["KUBECTL"]) == ("/binaries/kube", "/binaries/kubectl")


def test_pause_image(tmp_path):
    """One binary, named, with its digest right."""
    (tmp_path / "pause").write_bytes(b"binary")
    image.pack(tmp_path / "pause", tmp_path / "pause.tar")
    with tarfile.open(tmp_path / "pause.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile("config.json"))
        layer = archive.extractfile("layer.tar").read()
    assert manifest[0]["RepoTags"] == [image.NAME]
    assert config["config"]["Entrypoint"] == ["/pause"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert files.getnames() == ["pause"] and files.getmember("pause").mode == 0o555


def test_every_pinned_minor_names_its_version():
    """Each minor has both files, and a version of that minor."""
    assert build.known_minors()[0] == "1.36"
    for minor in build.known_minors():
        assert build.pinned_version(minor).startswith(f"{minor}.")
        assert (build.KUBE / "versions" / f"{minor}.sum").stat().st_size


def test_fingerprint_follows_content_and_words(tmp_path):
    """Other sources or another Go are another binary."""
    source = tmp_path / "main.go"
    source.write_text("one")
    first = build.fingerprint([source], "1.26.8")
    assert build.fingerprint([source], "1.26.9") != first
    source.write_text("two")
    assert build.fingerprint([source], "1.26.8") != first


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "a" * 31])
def test_names_that_would_not_fit_everywhere_are_refused(name, capsys):
    """A name becomes part of paths, cgroups and namespaces."""
    with pytest.raises(SystemExit):
        parser().parse_args(["up", f"--name={name}"])
    assert "lower-case letters" in capsys.readouterr().err


def test_configurations_are_plain_yaml(parts):
    """What is written can be read back."""
    assert yaml.safe_load(yaml.safe_dump(kubelet())) == kubelet()
    proxy = node.proxy_configuration(parts.folder.pki / "kube-proxy.kubeconfig", "198.18.0.11")
    assert proxy["conntrack"]["maxPerCore"] == 0
    assert node.cni_configuration("198.18.16.0/24")["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "198.18.16.0/24"}]]
