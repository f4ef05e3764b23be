# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registry_configuration writes, read by those it is for: a containerd of the test's own, skopeo, and an API server with OpenShift's kinds.

The sources have names under .invalid, which nobody can resolve: what is pulled by them came from the mirror.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.tests.integration import runtimes
from ansible_collections.nanoagent.k8s.tests.integration.agents import until
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import multi, write_layout

MODULE = "nanoagent.k8s.registry_configuration"
SOURCE = "source.invalid"
# A name as the kinds' definitions have it: the host, and a path that may be missing.
_PART = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_LOCATION = rf"^({_PART}(?:(?:\.{_PART})+)?(?::[0-9]+)?)(?:(?:/[a-z0-9]+(?:(?:(?:[._]|__|[-]*)[a-z0-9]+)+)?)+)?$"
_MIRROR = {
    "type": "object",
    "required": ["source"],
    "properties": {
        "source": {"type": "string", "pattern": _LOCATION},
        "mirrors": {"type": "array", "items": {"type": "string", "pattern": _LOCATION}, "x-kubernetes-list-type": "set"},
        "mirrorSourcePolicy": {"type": "string", "enum": ["NeverContactSource", "AllowContactingSource"]},
    },
}
MIRROR_SETS = {"ImageDigestMirrorSet": "imageDigestMirrors", "ImageTagMirrorSet": "imageTagMirrors"}


@pytest.fixture
def repository():
    return f"tests/nodes-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def secret(cluster_env):
    if not cluster_env.get("REGISTRY_TLS"):
        pytest.skip("REGISTRY_TLS is not set")
    return Path(cluster_env["REGISTRY_TLS_PASSWORD_FILE"]).read_text().strip()


@pytest.fixture
def plain(cluster_env):
    return {"host": cluster_env["REGISTRY"], "plain_http": True}


@pytest.fixture
def tls(cluster_env, secret):
    return {"host": cluster_env["REGISTRY_TLS"], "ca_cert": cluster_env["REGISTRY_TLS_CA"]}


@pytest.fixture
def stored(run_tasks, cluster_env, secret, plain, tls, tmp_path):
    """stored(seed, name, ...) puts an image into registries, by its names there; the image."""

    def store(seed, *names):
        image, folder = multi(seed), tmp_path / f"layout-{seed}"
        write_layout(folder, one=image)
        wishes = [{"source": f"oci:{folder}:one", "destination": name} for name in names]
        login = {"username": cluster_env["REGISTRY_TLS_USER"], "password": "{{ secret }}"}
        options = {"images": wishes, "registries": [plain, {**tls, **login}]}
        [result] = run_tasks([{"nanoagent.k8s.image_mirror": options}], variables={"secret": secret})
        assert not result.get("failed"), result
        return image

    return store


@pytest.fixture
def configured(run_tasks, tmp_path):
    """configured(options) -> the folder that the module wrote, after check mode and before a second run that changes nothing."""

    def write(**options):
        folder = tmp_path / f"nodes-{uuid.uuid4().hex[:6]}"
        given = {"dest": str(folder), **options}
        predicted, applied, again = run_tasks([{MODULE: given, "check_mode": True}, {MODULE: given}, {MODULE: given}])
        assert not applied.get("failed"), applied
        assert predicted["files"] == applied["files"] and predicted["changed"] and applied["changed"] and not again["changed"]
        return folder

    return write


@pytest.fixture(scope="module")
def fetch(tmp_path_factory, cluster_env):
    """fetch(name, folder, login="") -> (exit code, output) of a containerd that fetches an image as the folder's hosts.toml say."""
    if os.geteuid() or not shutil.which("containerd"):
        pytest.skip("needs containerd, and root to start it")
    with runtimes.containerd(tmp_path_factory.mktemp("containerd") / "c") as socket:

        def run(name, folder, login=""):
            command = ["ctr", "-a", str(socket), "content", "fetch", "--all-platforms", "--hosts-dir", str(folder / "containerd/certs.d")]
            done = subprocess.run([*command, *(["--user", login] if login else []), name], capture_output=True, text=True, check=False, timeout=120)
            listed = subprocess.run(["ctr", "-a", str(socket), "images", "ls"], capture_output=True, text=True, check=True).stdout
            subprocess.run(["ctr", "-a", str(socket), "images", "rm", "--sync", name], capture_output=True, check=False)
            [digest] = [line.split()[2] for line in listed.splitlines() if line.startswith(f"{name} ")] or [""]
            return done.returncode, digest, done.stdout + done.stderr

        yield run


def row(source, destination):
    return {"source": source, "destination": destination}


def test_containerd_takes_an_image_from_the_mirror_by_its_own_name(stored, configured, fetch, plain, repository):
    mirror = f"{plain['host']}/{repository}"
    image = stored("n1", f"{mirror}/team/app:1")
    for rewrites in ([row(SOURCE, mirror)], [row(f"{SOURCE}/team", f"{mirror}/team")]):
        folder = configured(rewrites=rewrites, registries=[plain])
        for name in (f"{SOURCE}/team/app:1", f"{SOURCE}/team/app@{image.root}"):
            code, digest, output = fetch(name, folder)
            assert (code, digest) == (0, image.root), output
        code, digest, output = fetch(f"{SOURCE}/team/absent:1", folder)
        assert code and not digest and SOURCE in output
    code, _digest, output = fetch(f"{SOURCE}/team/app:1", folder / "none")
    assert code and SOURCE in output


def test_containerd_trusts_the_authority_that_goes_along(stored, configured, fetch, cluster_env, secret, tls, repository):
    mirror, login = f"{tls['host']}/{repository}", f"{cluster_env['REGISTRY_TLS_USER']}:{secret}"
    image = stored("n2", f"{mirror}/team/app:1")
    folder = configured(rewrites=[row(SOURCE, mirror)], registries=[tls])
    for name in (f"{SOURCE}/team/app:1", f"{mirror}/team/app:1"):
        assert fetch(name, folder, login)[:2] == (0, image.root)
    untrusting = configured(rewrites=[row(SOURCE, mirror)])
    code, _digest, output = fetch(f"{SOURCE}/team/app:1", untrusting, login)
    assert code and ("certificate" in output or SOURCE in output)
    careless = configured(rewrites=[row(SOURCE, mirror)], registries=[{"host": tls["host"], "validate_certs": False}])
    assert fetch(f"{SOURCE}/team/app:1", careless, login)[:2] == (0, image.root)


def test_containerd_goes_to_the_source_only_where_it_may(stored, configured, fetch, cluster_env, secret, plain, tls, repository):
    """The plain registry is the source here, the one with TLS its mirror, which lacks one of two images."""
    mirror, login = f"{tls['host']}/{repository}/mirror", f"{cluster_env['REGISTRY_TLS_USER']}:{secret}"
    both = stored("n3", f"{plain['host']}/{repository}/both:1", f"{mirror}/{repository}/both:1")
    alone = stored("n4", f"{plain['host']}/{repository}/alone:1")
    given = {"rewrites": [row(plain["host"], mirror)], "registries": [plain, tls]}
    open_, closed = configured(**given), configured(**given, fallback=False)
    for folder in (open_, closed):
        code, digest, output = fetch(f"{plain['host']}/{repository}/both:1", folder, login)
        assert (code, digest) == (0, both.root), output
    assert fetch(f"{plain['host']}/{repository}/alone:1", open_, login)[:2] == (0, alone.root)
    code, _digest, output = fetch(f"{plain['host']}/{repository}/alone:1", closed, login)
    assert code and "not found" in output
    by_digest = configured(**given, by_tag=False)
    assert fetch(f"{plain['host']}/{repository}/both:1", by_digest, login)[:2] == (0, both.root)


@pytest.fixture
def inspect(tmp_path, cluster_env, secret):
    """inspect(name, folder) -> (exit code, the manifest's bytes or the message) of skopeo with a folder's registries.conf and certs.d."""
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed, and nobody else could judge")

    def run(name, folder, conf="nanoagent.conf"):
        home = tmp_path / f"home-{uuid.uuid4().hex[:6]}"
        (home / ".config").mkdir(parents=True)
        (home / ".config/containers").symlink_to(folder / "containers")
        login = ["skopeo", "login", "--authfile", str(home / "auth.json"), "--tls-verify=false", "-u", cluster_env["REGISTRY_TLS_USER"], "--password-stdin"]
        subprocess.run([*login, cluster_env["REGISTRY_TLS"]], input=secret.encode(), capture_output=True, check=True)
        command = ["skopeo", "--registries-conf", str(folder / "containers/registries.conf.d" / conf), "inspect", "--raw"]
        done = subprocess.run(
            [*command, "--authfile", str(home / "auth.json"), f"docker://{name}"],
            env={**os.environ, "HOME": str(home)},
            capture_output=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout if not done.returncode else done.stderr.decode()

    return run


def test_skopeo_takes_images_from_the_mirror_by_their_own_names(stored, configured, inspect, plain, tls, repository):
    one, two = f"{plain['host']}/{repository}/one", f"{tls['host']}/{repository}/two"
    app, tool, hub = stored("n5", f"{one}/app:1"), stored("n6", f"{two}/deep/tool:1"), stored("n7", f"{two}/hub:1")
    rewrites = [row(f"{SOURCE}/team", one), row(f"{SOURCE}/team/inner", two), row("docker.io/busybox", f"{two}/hub")]
    folder = configured(rewrites=rewrites, registries=[plain, tls], formats=["registries_conf"])
    for name, image in (
        (f"{SOURCE}/team/app:1", app),
        (f"{SOURCE}/team/app@{app.root}", app),
        (f"{SOURCE}/team/inner/deep/tool:1", tool),
        ("busybox:1", hub),
        # By the mirrors' own names: without TLS, and with the authority that went along.
        (f"{one}/app:1", app),
        (f"{two}/deep/tool:1", tool),
    ):
        assert inspect(name, folder) == (0, image.manifests[image.root][1]), name
    code, message = inspect(f"{SOURCE}/teams/app:1", folder)
    assert code and SOURCE in message


def test_skopeo_goes_to_the_source_only_where_it_may(stored, configured, inspect, plain, tls, repository):
    mirror = f"{tls['host']}/{repository}/mirror"
    both, alone = f"{plain['host']}/{repository}/both:1", f"{plain['host']}/{repository}/alone:1"
    image, other = stored("n8", both, f"{mirror}/both:1"), stored("n9", alone)
    given = {"rewrites": [row(f"{plain['host']}/{repository}", mirror)], "registries": [plain, tls], "formats": ["registries_conf"]}
    open_, closed = configured(**given), configured(**given, fallback=False)
    for folder in (open_, closed):
        assert inspect(both, folder) == (0, image.manifests[image.root][1])
    assert inspect(alone, open_) == (0, other.manifests[other.root][1])
    code, message = inspect(alone, closed)
    assert code and "blocked" in message
    by_digest = configured(**given, by_tag=False, fallback=False)
    assert inspect(f"{plain['host']}/{repository}/both@{image.root}", by_digest)[0] == 0
    assert inspect(both, by_digest)[0]


@pytest.fixture
def mirror_sets(kubectl):
    """The kinds of OpenShift's mirror sets are served, with the names, fields and patterns of their definitions; on OpenShift its own."""
    present = kubectl("get", "crd", "-o", "name")
    made = [kind for kind in MIRROR_SETS if f"{kind.lower()}s.config.openshift.io" not in present]
    for kind in made:
        schema = {"type": "object", "properties": {MIRROR_SETS[kind]: {"type": "array", "items": _MIRROR, "x-kubernetes-list-type": "atomic"}}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}}}
        names = {"kind": kind, "listKind": f"{kind}List", "plural": f"{kind.lower()}s", "singular": kind.lower()}
        spec = {"group": "config.openshift.io", "names": names, "scope": "Cluster", "versions": [version]}
        # The group is one that only its owners may add to, unless they say so.
        metadata = {"name": f"{kind.lower()}s.config.openshift.io", "annotations": {"api-approved.openshift.io": "tests"}}
        definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}
        kubectl("apply", "-f", "-", stdin=json.dumps(definition))
        kubectl("wait", "--for=condition=Established", f"crd/{kind.lower()}s.config.openshift.io", "--timeout=60s")
    until(lambda: "config.openshift.io" in kubectl("get", "--raw", "/apis"))
    yield
    for kind in made:
        kubectl("delete", "crd", f"{kind.lower()}s.config.openshift.io", "--timeout=60s")


def test_openshift_takes_the_mirror_sets(configured, kubectl, mirror_sets, tls):
    """Strictly validated by the API server; the operator that carries them out is not here."""
    rewrites = [row(SOURCE, f"{tls['host']}/m"), row(f"{SOURCE}/a_b/c-d", "mirror.invalid/x"), row("docker.io/busybox", "mirror.invalid/hub/busybox")]
    name = f"test-{uuid.uuid4().hex[:8]}"
    folder = configured(rewrites=rewrites, registries=[tls], formats=["openshift"], name=name)
    # What the server would keep, without keeping it: a mirror set drains nodes where something carries it out.
    for file, kind in (("imagedigestmirrorset.yaml", "ImageDigestMirrorSet"), ("imagetagmirrorset.yaml", "ImageTagMirrorSet")):
        command = ("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", str(folder / "openshift" / file))
        taken = json.loads(kubectl(*command))
        assert [each["source"] for each in taken["spec"][MIRROR_SETS[kind]]] == sorted(
            ["docker.io/busybox", "docker.io/library/busybox", SOURCE, f"{SOURCE}/a_b/c-d"]
        )
    kubectl("create", "namespace", name)
    try:
        text = (folder / "openshift/configmap.yaml").read_text().replace("openshift-config", name)
        taken = json.loads(kubectl("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", stdin=text))
        assert list(taken["data"]) == [tls["host"].replace(":", "..")]
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
