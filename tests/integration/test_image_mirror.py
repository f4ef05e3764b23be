# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module, role and playbook that mirror images, between real registries, with skopeo as the judge of both sides."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
import uuid

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.modules import image_mirror
from ansible_collections.nanoagent.k8s.tests.unit.fakes import images
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import artifact, digest_of, multi, single, store, write_layout
from ansible_collections.nanoagent.k8s.tests.unit.fakes.killed_job import killed_once
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry
from checkout import CHECKOUT, collections_folder

sys.path.insert(0, str(CHECKOUT / "tests/judges"))

from judging.pushing import put  # noqa: E402 (the path comes first)

MODULE = "nanoagent.k8s.image_mirror"
# Options of skopeo, the first two of the program, the others of the command.
ALL_OF_IT = ("--debug", "--command-timeout=60s", "--all")
AS_IT_IS = (*ALL_OF_IT, "--preserve-digests")

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed, and nobody else could judge")


@pytest.fixture
def repository():
    return f"tests/mirror-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def skopeo(cluster_env, secret, tmp_path):
    """skopeo(*arguments) -> its output, logged in to the registry with TLS."""
    folder = tmp_path / "skopeo"
    (folder / "certs").mkdir(parents=True)
    shutil.copy(cluster_env["REGISTRY_TLS_CA"], folder / "certs/ca.crt")
    login = ["skopeo", "login", "--authfile", folder / "auth.json", "--cert-dir", folder / "certs", "-u", cluster_env["REGISTRY_TLS_USER"], "--password-stdin"]
    subprocess.run([*login, cluster_env["REGISTRY_TLS"]], input=secret.encode(), capture_output=True, check=True)

    def run(command: str, *names: str, options: tuple = ()) -> bytes:
        access = []
        for prefix, name in zip(("src-", "dest-") if command == "copy" else ("",), names):
            plain = f"docker://{cluster_env['REGISTRY']}/" in name
            access += [f"--{prefix}tls-verify=false"] if plain else [f"--{prefix}cert-dir={folder / 'certs'}"] if name.startswith("docker://") else []
        done = subprocess.run(
            ["skopeo", *options[:2], command, *access, "--authfile", str(folder / "auth.json"), *options[2:], *names], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def raw(skopeo, name: str) -> bytes:
    return skopeo("inspect", name, options=("--debug", "--command-timeout=60s", "--raw"))


def pair(source, destination, **more) -> dict:
    return {"source": str(source), "destination": str(destination), **more}


KINDS = {
    "multi": lambda: multi("i1"),
    "docker types": lambda: multi("i2", kind=images.DOCKER),
    "one platform": lambda: single("i3"),
    "many layers": lambda: single("i4", layers=100, size=50),
    "zstd": lambda: single("i5", packing="zstd"),
    "uncompressed": lambda: single("i6", packing="plain"),
    "large": lambda: single("i7", layers=2, size=20 << 20),
}


def test_what_skopeo_wrote_is_mirrored_and_judged_by_skopeo(run_tasks, registries, skopeo, secret, repository, tmp_path):
    """Of each kind: from the plain registry to the one with TLS, back into a layout, each digest unchanged."""
    plain, tls = (entry["host"] for entry in registries)
    made = {kind.replace(" ", "-"): make() for kind, make in KINDS.items()}
    wishes = []
    for tag, image in made.items():
        if tag == "docker-types":
            # skopeo takes no Docker types from a layout.
            put(f"http://{plain}", f"{repository}/{tag}", image, "1")
        else:
            write_layout(tmp_path / tag, one=image)
            skopeo("copy", f"oci:{tmp_path / tag}:one", f"docker://{plain}/{repository}/{tag}:1", options=AS_IT_IS)
        assert digest_of(raw(skopeo, f"docker://{plain}/{repository}/{tag}:1")) == image.root
        wishes.append(pair(f"docker://{plain}/{repository}/{tag}@{image.root}", f"{tls}/{repository}/{tag}:1"))
    options = {"images": wishes, "registries": registries}
    predicted, applied, again = run_tasks(
        [{MODULE: options, "check_mode": True}, {MODULE: options}, {MODULE: options}], "-vvv", "--diff", variables={"secret": secret}
    )
    assert not applied.get("failed"), applied
    assert applied["images"] == predicted["images"] and applied["changed"] and not again["changed"]
    # The first request is refused with the challenge, by each of the eight that begin at once at most.
    assert set(again["requests"]) == {tls} and set(again["requests"][tls]) == {"HEAD"} and len(made) < again["requests"][tls]["HEAD"] <= 2 * len(made)
    assert secret not in run_tasks.process.stdout + run_tasks.process.stderr
    (tmp_path / "judged").mkdir()
    for tag, image in made.items():
        name = f"docker://{tls}/{repository}/{tag}:1"
        assert digest_of(raw(skopeo, name)) == image.root
        # In this format everything stays as it is.
        skopeo("copy", name, f"dir:{tmp_path / 'judged' / tag}", options=AS_IT_IS)
        present = {digest_of(path.read_bytes()) for path in (tmp_path / "judged" / tag).iterdir()}
        assert {*image.blobs, *image.manifests} <= present


def test_files_that_we_write_are_read_by_skopeo(run_tasks, registries, skopeo, secret, repository, tmp_path):
    plain, tls = (entry["host"] for entry in registries)
    image, alone = multi("j1"), single("j2")
    write_layout(tmp_path / "made", image=image, alone=alone)
    transfer = tmp_path / "transfer"
    transfer.mkdir()
    out = [
        pair(f"oci:{tmp_path / 'made'}:image", f"oci:{transfer / 'layout'}:image"),
        pair(f"oci:{tmp_path / 'made'}:image", f"oci-archive:{transfer / 'image.tar'}:image"),
        pair(f"oci:{tmp_path / 'made'}:alone", f"docker-archive:{transfer / 'alone.tar'}:example.com/alone:1"),
    ]
    [written] = run_tasks([{MODULE: {"images": out}}])
    assert not written.get("failed"), written
    for number, name in enumerate((f"oci:{transfer / 'layout'}:image", f"oci-archive:{transfer / 'image.tar'}:image")):
        skopeo("copy", name, f"docker://{plain}/{repository}:{number}", options=ALL_OF_IT)
        assert digest_of(raw(skopeo, f"docker://{plain}/{repository}:{number}")) == image.root
    skopeo("copy", f"docker-archive:{transfer / 'alone.tar'}", f"oci:{tmp_path / 'unpacked'}:1")
    [entry] = json.loads((tmp_path / "unpacked/index.json").read_text())["manifests"]
    manifest = json.loads((tmp_path / "unpacked/blobs" / entry["digest"].replace(":", "/")).read_bytes())
    config = json.loads((tmp_path / "unpacked/blobs" / manifest["config"]["digest"].replace(":", "/")).read_bytes())
    [ours] = [json.loads(data) for data in alone.blobs.values() if data.startswith(b"{")]
    # skopeo writes the configuration anew; what it says of the layers it has checked.
    assert config["rootfs"] == ours["rootfs"]

    # And the other way: archives of skopeo, one of them packed as vendors publish it.
    source = f"docker://{plain}/{repository}:0"
    skopeo("copy", source, f"oci-archive:{transfer / 'theirs.tar'}:1", options=ALL_OF_IT)
    skopeo("copy", source, f"docker-archive:{transfer / 'save.tar'}:example.com/saved:1")
    (transfer / "save.tar.gz").write_bytes(gzip.compress((transfer / "save.tar").read_bytes()))
    back = [
        pair(f"oci-archive:{transfer / 'theirs.tar'}", f"{tls}/{repository}/theirs:1"),
        pair(f"docker-archive:{transfer / 'save.tar.gz'}", f"{tls}/{repository}/saved:1"),
        pair(f"docker-archive:{transfer / 'alone.tar'}", f"{tls}/{repository}/alone:1"),
    ]
    options = {"images": back, "registries": registries}
    pushed, again = run_tasks([{MODULE: options}, {MODULE: options}], variables={"secret": secret})
    assert not pushed.get("failed"), pushed
    assert [entry["digest"] for entry in pushed["images"]][::2] == [image.root, alone.root] and not again["changed"]
    config = json.loads(skopeo("inspect", f"docker://{tls}/{repository}/saved:1", options=("--debug", "--command-timeout=60s", "--config")))
    [amd64] = [data for data in image.blobs.values() if data.startswith(b"{") and b"amd64" in data]
    assert config["rootfs"]["diff_ids"] == json.loads(amd64)["rootfs"]["diff_ids"]
    skopeo("copy", f"docker://{tls}/{repository}/saved:1", f"dir:{tmp_path / 'dir'}")


def test_signatures_come_along_and_blobs_are_mounted(run_tasks, registries, skopeo, secret, repository, tmp_path):
    """These registries have no referrers API, so their clients keep the list."""
    plain, tls = (entry["host"] for entry in registries)
    image = multi("k1")
    about = artifact(image.entry(), b"a list of parts")
    signature = artifact(None, b"signed")
    fallback = images.Image()
    fallback.add_manifest({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["index"], "manifests": [about.entry()]})
    tag = image.root.replace(":", "-")
    write_layout(tmp_path / "made", **{"1": image, tag: fallback, f"{tag}.sig": signature})
    for digest, data in images.everything(about).items():
        (tmp_path / "made/blobs/sha256" / digest.partition(":")[2]).write_bytes(data)
    tasks = [
        {MODULE: {"images": [pair(f"oci:{tmp_path / 'made'}:1", f"{plain}/{repository}")], "registries": registries}},
        {MODULE: {"images": [pair(f"{plain}/{repository}@{image.root}", f"{tls}/{repository}:1")], "registries": registries}},
        {MODULE: {"images": [pair(f"{tls}/{repository}:1", f"{tls}/{repository}/copy:1")], "registries": registries}},
    ]
    results = run_tasks(tasks, variables={"secret": secret})
    for result, place in zip(results, (f"{plain}/{repository}", f"{tls}/{repository}", f"{tls}/{repository}/copy")):
        assert not result.get("failed"), result
        assert set(result["images"][0]["referrers"]) == {about.root, signature.root}
        assert digest_of(raw(skopeo, f"docker://{place}:{tag}.sig")) == signature.root
        listed = json.loads(raw(skopeo, f"docker://{place}:{tag}"))
        assert [entry["digest"] for entry in listed["manifests"]] == [about.root]
        assert digest_of(raw(skopeo, f"docker://{place}@{about.root}")) == about.root
    assert results[2]["images"][0]["mounted"] == results[2]["images"][0]["blobs"] > 0


def test_platforms_make_an_index_that_skopeo_takes(run_tasks, registries, skopeo, secret, repository, tmp_path):
    plain = registries[0]["host"]
    image = multi("l1", ("amd64", "arm64", "s390x"))
    write_layout(tmp_path / "made", **{"1": image})
    options = {"images": [pair(f"oci:{tmp_path / 'made'}:1", f"{plain}/{repository}:1", platforms=["linux/arm64"])], "registries": registries}
    applied, again = run_tasks([{MODULE: options}, {MODULE: options}], variables={"secret": secret})
    assert applied["changed"] and not again["changed"] and "make another index" in str(applied["warnings"])
    index = json.loads(raw(skopeo, f"docker://{plain}/{repository}:1"))
    assert [entry["digest"] for entry in index["manifests"]] == [image.platforms["linux/arm64"]]
    skopeo("copy", f"docker://{plain}/{repository}:1", f"oci:{tmp_path / 'judged'}:1", options=("--override-arch", "arm64"))


def test_refusals_are_one_clear_line(run_tasks, registries, secret, repository, tmp_path):
    plain, tls = (entry["host"] for entry in registries)
    write_layout(tmp_path / "made", one=single("m1"))
    made = f"oci:{tmp_path / 'made'}"
    cases = [
        ([pair(f"{plain}/{repository}/absent:1", f"{tls}/{repository}")], registries, "does not exist"),
        ([pair(made, f"{tls}/{repository}:1")], [{**registries[1], "password": "{{ wrong }}"}], "HTTP 401"),
        ([pair(made, f"{tls}/{repository}:1")], [{"host": tls, "ca_cert": registries[1]["ca_cert"]}], "HTTP 401"),
        ([pair(made, f"{tls}/{repository}:1")], [], "certificate is not trusted"),
        ([pair(made, f"{plain}/{repository}:1")], [], "set plain_http to true"),
        ([pair(made, f"{tls}/{repository}:1")], [{**registries[1], "client_cert": "/absent"}], "client_cert /absent"),
    ]
    tasks = [{MODULE: {"images": wish, "registries": access}} for wish, access, _says in cases]
    results = run_tasks(tasks, "-vvv", variables={"secret": secret, "wrong": "wr0ng-canary"})
    for result, (_wish, _access, says) in zip(results, cases):
        assert result["failed"] and says in result["msg"] and "\n" not in result["msg"] and "Traceback" not in json.dumps(result), result
    output = run_tasks.process.stdout + run_tasks.process.stderr
    assert secret not in output and "wr0ng-canary" not in output


def test_the_playbook_says_what_it_would_copy_and_copies_it(registries, secret, repository, tmp_path, ansible_playbook):
    plain = registries[0]["host"]
    write_layout(tmp_path / "made", one=single("n1"))
    variables = {"mirror_images": [pair(f"oci:{tmp_path / 'made'}", f"{plain}/{repository}:1")], "mirror_registries": registries, "secret": secret}
    (tmp_path / "variables.json").write_text(json.dumps(variables))

    def play(*arguments):
        done = ansible_playbook(CHECKOUT / "playbooks/mirror.yml", "-e", f"@{tmp_path / 'variables.json'}", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    name = f"{plain}/{repository}:1"
    assert f"{name}: would be copied, 0.0 MB" in play("--check")
    assert f"{name}: copied, 0.0 MB" in play() and f"{name}: unchanged" in play()


def settled(upload: str) -> int:
    """How many bytes a registry has of an upload, once it has worked off what came before the client's end."""
    seen = []
    while len(seen) < 3 or len(set(seen[-3:])) > 1:
        time.sleep(0.5)
        with urllib.request.urlopen(upload) as answer:
            seen.append(int(answer.headers["Range"].partition("-")[2]) + 1)
    return seen[-1]


def test_an_upload_that_was_killed_goes_on(registries, repository, tmp_path):
    """The registry tells how much it has of a request that broke."""
    plain = registries[0]["host"]
    image = single(f"p1 {repository}", layers=1, size=24 << 20, packing="plain")
    [layer] = [digest for digest, data in image.blobs.items() if len(data) > 24 << 20]
    released = threading.Event()
    with FakeRegistry() as source:
        source.fail("GET", layer, keep=(20 << 20) + 5, until=released)
        wish = {
            "images": [pair(store(source, "app", image), f"{plain}/{repository}:1")],
            "registries": [registries[0], {"host": source.host, "plain_http": True}],
            "journal": str(tmp_path / "journal"),
        }
        killed_once(wish, tmp_path, lambda: source.sent_bytes > 20 << 20)
        released.set()
        [note] = (tmp_path / "journal").iterdir()
        position = settled(json.loads(note.read_text())["location"])
        source.sent_bytes = 0
        options = ArgumentSpecValidator(image_mirror.argument_spec()).validate(wish).validated_parameters
        assert work(options, Run(temp_dir=str(tmp_path)))["changed"]
        assert position > 1 << 20 and source.sent_bytes < len(image.blobs[layer]) - position + 100_000
        assert not list((tmp_path / "journal").iterdir())
        assert not work(options, Run(temp_dir=str(tmp_path)))["changed"]


def test_memory_stays_flat(registries, secret, repository, tmp_path):
    """A layer of 1 GiB, in a process of its own, from a layout to a registry and on to an archive."""
    plain = registries[0]["host"]
    write_layout(tmp_path / "made", one=single("o1", layers=1, size=1000, packing="plain"))
    large, size, zeros = images.Image(), 1 << 30, hashlib.sha256()
    for _mebibyte in range(size >> 20):
        zeros.update(bytes(1 << 20))
    config = large.add_blob(images.TYPES["oci"]["config"], b"{}")
    layer = {"mediaType": images.TYPES["oci"]["plain"], "digest": f"sha256:{zeros.hexdigest()}", "size": size}
    large.add_manifest({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["manifest"], "config": config, "layers": [layer]})
    write_layout(tmp_path / "large", one=large)
    with open(tmp_path / "large/blobs/sha256" / zeros.hexdigest(), "wb") as file:
        file.truncate(size)
    peaks = []
    for folder in ("made", "large"):
        first = [pair(f"oci:{tmp_path / folder}:one", f"{plain}/{repository}/{folder}:1")]
        second = [pair(f"{plain}/{repository}/{folder}:1", f"oci-archive:{tmp_path / folder}.tar")]
        calls = [{"images": wish, "registries": registries[:1]} for wish in (first, second)]
        code = (
            "import json, sys; sys.path.insert(0, sys.argv[1])\n"
            "from ansible.module_utils.common.arg_spec import ArgumentSpecValidator\n"
            "from ansible_collections.nanoagent.k8s.plugins.modules.image_mirror import argument_spec\n"
            "from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work\n"
            "from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run\n"
            "for given in json.loads(sys.argv[2]):\n"
            "    assert work(ArgumentSpecValidator(argument_spec()).validate(given).validated_parameters, Run(temp_dir=sys.argv[3]))['changed']\n"
            "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
        )
        command = [sys.executable, "-c", code, str(collections_folder()), json.dumps(calls), str(tmp_path)]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) // 1024)
        (tmp_path / f"{folder}.tar").unlink()
    assert peaks[1] - peaks[0] < 30 and peaks[1] < 80, peaks
