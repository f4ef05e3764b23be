# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that we write are whole in the eyes of crane, regctl and skopeo, and we read what they write, on registries of two kinds.

No cluster is needed: the registries are started here.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority
from ansible_collections.nanoagent.k8s.tests.unit.fakes import images
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import DOCKER, OCI, TYPES, artifact, digest_of, multi, single, write_layout
from checkout import CHECKOUT

sys.path[:0] = [str(CHECKOUT / "tests/cluster"), str(CHECKOUT / "tests/judges")]

from judging.programs import judges  # noqa: E402 (the path comes first)
from judging.pushing import put  # noqa: E402 (the path comes first)
from judging.registries import Registry, distribution, password_hashes, second  # noqa: E402 (the path comes first)
from localcluster.build import kube_binaries  # noqa: E402 (the path comes first)
from localcluster.cluster import DEFAULT_MINOR  # noqa: E402 (the path comes first)
from localcluster.progress import Progress  # noqa: E402 (the path comes first)

MODULE = "nanoagent.k8s.image_mirror"
USER, PASSWORD = "judge", "pa55-w0rd-canary"
PLAIN, TLS, SECOND = "plain", "tls", "second"
GZIP = b"\x1f\x8b"
# Options of skopeo's copy: all platforms, no byte changed, from a registry that may be a plain one.
AS_IT_IS = ("--all", "--preserve-digests", "--src-tls-verify=false")
# A layer that its maker keeps elsewhere; nobody has to ask there.
ELSEWHERE = "http://192.0.2.9/layer"
FOREIGN_ALLOWED = {"validation": {"manifests": {"urls": {"allow": [r"^http://192\.0\.2\.9/"]}}}}

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed, and it is one of the judges")


@dataclass
class Place:
    """A registry with what is needed to get in."""

    registry: Registry
    session: requests.Session
    access: dict

    @property
    def host(self) -> str:
        return self.registry.host

    @property
    def url(self) -> str:
        return f"http{'' if self.access.get('plain_http') else 's'}://{self.host}"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The registries by name; the password is in the variable `secret` of a playbook."""
    folder = tmp_path_factory.mktemp("registries")
    kube = str(kube_binaries(DEFAULT_MINOR, Progress()) / "kube")
    authority = Authority(folder / "authority")
    (folder / "users").write_text(password_hashes(kube, USER, PASSWORD))
    tls = {
        "http": {"tls": {"certificate": str(folder / "authority/server.crt"), "key": str(folder / "authority/server.key")}},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "users")}},
    }
    with (
        distribution(kube, folder / PLAIN, **FOREIGN_ALLOWED) as plain,
        distribution(kube, folder / TLS, **tls, **FOREIGN_ALLOWED) as secured,
        second(judges(Progress()), folder / SECOND) as other,
    ):
        known = requests.Session()
        known.auth, known.verify = (USER, PASSWORD), str(authority.ca)
        yield {
            PLAIN: Place(plain, requests.Session(), {"host": plain.host, "plain_http": True}),
            TLS: Place(secured, known, {"host": secured.host, "ca_cert": str(authority.ca), "username": USER, "password": "{{ secret }}"}),
            SECOND: Place(other, requests.Session(), {"host": other.host, "plain_http": True}),
        }


@pytest.fixture(scope="module")
def judge(places, tmp_path_factory):
    """judge("crane", ...) -> what it prints; it fails where the tool does. All tools know all registries."""
    folder, programs = tmp_path_factory.mktemp("judges"), judges(Progress())
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {places[TLS].host: {"auth": login}}}))
    authority = Path(places[TLS].access["ca_cert"])
    hosts = {place.host: {"tls": "disabled"} for place in places.values()}
    hosts[places[TLS].host] = {"user": USER, "pass": PASSWORD, "regcert": authority.read_text()}
    (folder / "regctl.json").write_text(json.dumps({"hosts": hosts}))
    environment = {
        **os.environ,
        "DOCKER_CONFIG": str(folder),
        "REGISTRY_AUTH_FILE": str(folder / "config.json"),
        "REGCTL_CONFIG": str(folder / "regctl.json"),
        "SSL_CERT_FILE": str(authority),
        # skopeo's memory of blobs is not the user's.
        "_CONTAINERS_ROOTLESS_UID": "1",
        "XDG_DATA_HOME": str(folder),
    }

    def run(tool: str, *arguments: str | Path, data: bytes | None = None) -> bytes:
        command = [str(programs / tool) if tool != "skopeo" else tool, *(str(word) for word in arguments)]
        done = subprocess.run(command, env=environment, input=data, capture_output=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode(errors='replace')}"
        return done.stdout

    return run


@pytest.fixture
def mirror(run_tasks, places):
    """mirror([(source, destination), ...], ...) -> results of one task for each list; the password is in none of them."""

    def run(*lists: list, arguments: tuple = (), **options) -> list:
        access = [place.access for place in places.values()]
        wishes = [[{"source": str(source), "destination": str(target)} for source, target in wished] for wished in lists]
        tasks = [{MODULE: {"images": wish, "registries": access, **options}} for wish in wishes]
        results = run_tasks(tasks, *arguments, variables={"secret": PASSWORD})
        assert PASSWORD not in run_tasks.process.stdout + run_tasks.process.stderr
        for result in results:
            assert not result.get("failed"), result
        return results

    return run


def empty_layers() -> images.Image:
    """A layer of no files twice, as builders make them for steps that change nothing, around one with a file."""
    image = single("empty", layers=1)
    [config], [middle] = ([blob for blob in image.blobs.values() if blob.startswith(start)] for start in (b"{", GZIP))
    nothing = bytes(1024)
    made = images.Image()
    empty = made.add_blob(TYPES[OCI]["gzip"], gzip.compress(nothing, mtime=0))
    layers = [empty, made.add_blob(TYPES[OCI]["gzip"], middle), empty]
    content = json.loads(config)
    content["rootfs"]["diff_ids"] = [digest_of(nothing), *content["rootfs"]["diff_ids"], digest_of(nothing)]
    described = made.add_blob(TYPES[OCI]["config"], json.dumps(content).encode())
    made.add_manifest({"schemaVersion": 2, "mediaType": TYPES[OCI]["manifest"], "config": described, "layers": layers})
    return made


def foreign() -> images.Image:
    """An image as old Windows ones are: its lowest layer is in no registry."""
    image = single("foreign", layers=1, kind=DOCKER)
    manifest = json.loads(image.manifests.pop(image.root)[1])
    layer = images.described("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"kept elsewhere", urls=[ELSEWHERE])
    image.add_manifest({**manifest, "layers": [layer, *manifest["layers"]]})
    return image


def nested() -> images.Image:
    """An index that holds an index beside an image."""
    image = multi("nested")
    inner = image.entry()
    single("nested outer", into=image, architecture="s390x")
    alone = {**image.entry(), "platform": {"os": "linux", "architecture": "s390x"}}
    image.add_manifest({"schemaVersion": 2, "mediaType": TYPES[OCI]["index"], "manifests": [inner, alone]})
    return image


KINDS = {
    "multi": lambda: multi("j1"),
    "docker-types": lambda: multi("j2", kind=DOCKER),
    "one-platform": lambda: single("j3"),
    "small-layers": lambda: single("j4", layers=200, size=50),
    "zstd": lambda: single("j5", packing="zstd"),
    "uncompressed": lambda: single("j6", packing="plain"),
    "large": lambda: single("j7", layers=2, size=9 << 20, packing="stored"),
    "empty-layers": empty_layers,
    "nested": nested,
}


@pytest.fixture(scope="module")
def made():
    """An image of each kind."""
    return {kind: make() for kind, make in KINDS.items()}


def all_gzip(image: images.Image) -> bool:
    """Whether crane can look into each layer: it takes every layer for one of gzip."""
    return all(blob.startswith((b"{", GZIP)) for blob in image.blobs.values())


def judged(judge, name: str, image: images.Image, folder: Path) -> None:
    """Every judge finds the image whole, and regctl fetches all of it."""
    access = ["--tls-verify=false"] if "127.0.0.1" in name else []
    assert judge("crane", "digest", name).decode().strip() == image.root
    assert judge("regctl", "image", "digest", name).decode().strip() == image.root
    assert digest_of(judge("skopeo", "inspect", "--raw", *access, f"docker://{name}")) == image.root
    if all_gzip(image):
        judge("crane", "validate", "--remote", name)
    judge("regctl", "image", "copy", name, f"ocidir://{folder}:1")
    for digest, data in images.everything(image).items():
        assert (folder / "blobs/sha256" / digest.partition(":")[2]).read_bytes() == data


@pytest.mark.parametrize("target", [PLAIN, TLS, SECOND])
def test_what_we_push_is_whole_for_every_judge(mirror, judge, places, made, target, tmp_path):
    """From a layout; Docker's types too, which a layout may hold. The second run is one request an image."""
    write_layout(tmp_path / "made", **made)
    (tmp_path / "dir").mkdir()
    host = places[target].host
    wishes = [(f"oci:{tmp_path / 'made'}:{kind}", f"{host}/pushed/{kind}:1") for kind in made]
    applied, again = mirror(wishes, wishes)
    assert applied["changed"] and not again["changed"]
    assert {kind: image["digest"] for kind, image in zip(made, applied["images"])} == {kind: image.root for kind, image in made.items()}
    for kind, image in made.items():
        judged(judge, f"{host}/pushed/{kind}:1", image, tmp_path / "judged" / kind)
        if kind != "nested":
            # skopeo takes no index within an index.
            judge("skopeo", "copy", *AS_IT_IS, f"docker://{host}/pushed/{kind}:1", f"dir:{tmp_path / 'dir' / kind}")


def test_copies_from_registry_to_registry_stay_the_same_to_the_byte(mirror, judge, places, made, tmp_path):
    """plain -> tls -> second -> plain, judged at the end."""
    for kind, image in made.items():
        put(places[PLAIN].url, f"chain/{kind}", image, "1")
    way = [(PLAIN, "chain", TLS, "chain"), (TLS, "chain", SECOND, "chain"), (SECOND, "chain", PLAIN, "back")]
    steps = [[(f"{places[source].host}/{a}/{kind}:1", f"{places[target].host}/{b}/{kind}:1") for kind in made] for source, a, target, b in way]
    for result in mirror(*steps):
        assert [image["digest"] for image in result["images"]] == [image.root for image in made.values()]
    for kind, image in made.items():
        judged(judge, f"{places[PLAIN].host}/back/{kind}:1", image, tmp_path / kind)


# Files that tools write of an image in a registry: the command, {image} and {folder} in it, and what we call the result.
FILES = {
    "crane-oci": (["crane", "pull", "--format=oci", "--annotate-ref", "{image}", "{folder}/crane"], "oci:{folder}/crane"),
    "crane-tarball": (["crane", "pull", "--format=tarball", "{image}", "{folder}/crane.tar"], "docker-archive:{folder}/crane.tar"),
    "crane-legacy": (["crane", "pull", "--format=legacy", "{image}", "{folder}/legacy.tar"], "docker-archive:{folder}/legacy.tar"),
    "regctl-oci": (["regctl", "image", "copy", "{image}", "ocidir://{folder}/regctl:1"], "oci:{folder}/regctl:1"),
    "regctl-tar": (["regctl", "image", "export", "{image}", "{folder}/regctl.tar"], "oci-archive:{folder}/regctl.tar"),
    "regctl-gz": (["regctl", "image", "export", "--compress", "{image}", "{folder}/regctl.tar.gz"], "oci-archive:{folder}/regctl.tar.gz"),
    "skopeo-oci": (["skopeo", "copy", *AS_IT_IS, "docker://{image}", "oci:{folder}/skopeo:1"], "oci:{folder}/skopeo:1"),
    "skopeo-tar": (["skopeo", "copy", *AS_IT_IS, "docker://{image}", "oci-archive:{folder}/skopeo.tar:1"], "oci-archive:{folder}/skopeo.tar:1"),
    "skopeo-save": (
        ["skopeo", "copy", "--src-tls-verify=false", "docker://{image}", "docker-archive:{folder}/save.tar:example.com/saved:1"],
        "docker-archive:{folder}/save.tar:example.com/saved:1",
    ),
}
# These have no manifest, so what stays is what the image is made of.
WITHOUT_MANIFEST = ("crane-tarball", "crane-legacy", "skopeo-save")
# skopeo makes OCI types of Docker's in a layout, crane takes zstd for a damaged gzip.
FORMS = {
    "multi": ("crane-oci", "regctl-oci", "regctl-tar", "regctl-gz", "skopeo-oci", "skopeo-tar"),
    "docker-types": ("crane-oci", "regctl-oci", "regctl-tar"),
    "one-platform": tuple(FILES),
    "small-layers": ("regctl-gz", "crane-tarball", "skopeo-save"),
    "zstd": ("crane-oci", "regctl-tar", "skopeo-tar"),
    "empty-layers": ("regctl-tar", "crane-legacy", "skopeo-tar"),
}


def test_we_read_the_files_of_crane_regctl_and_skopeo(mirror, judge, places, made, tmp_path):
    plain, host = places[PLAIN], places[SECOND].host
    wishes, found = [], {}
    for kind, forms in FORMS.items():
        put(plain.url, f"files/{kind}", made[kind], "1")
        (tmp_path / kind).mkdir()
        for form in forms:
            command, source = FILES[form]
            given = {"image": f"{plain.host}/files/{kind}:1", "folder": tmp_path / kind}
            judge(*(word.format(**given) for word in command))
            wishes.append((source.format(**given), f"{host}/files/{kind}/{form}:1"))
    [result] = mirror(wishes)
    found = {image["destination"].removeprefix(f"{host}/files/"): image["digest"] for image in result["images"]}
    for kind, forms in FORMS.items():
        image = made[kind]
        exact = [form for form in forms if form not in WITHOUT_MANIFEST]
        assert {form: found[f"{kind}/{form}:1"] for form in exact} == dict.fromkeys(exact, image.root)
        judged(judge, f"{host}/files/{kind}/{exact[0]}:1", image, tmp_path / "judged" / kind)
        for form in set(forms) - set(exact):
            name, folder = f"{host}/files/{kind}/{form}:1", tmp_path / "judged" / f"{kind}-{form}"
            assert rootfs(judge, name) == own_rootfs(image)
            judge("regctl", "image", "copy", name, f"ocidir://{folder}:1")
            for layer in json.loads(judge("crane", "manifest", name))["layers"]:
                packed = (folder / "blobs/sha256" / layer["digest"].partition(":")[2]).read_bytes().startswith(GZIP)
                assert layer["mediaType"].endswith("gzip") == packed


def rootfs(judge, name: str) -> dict:
    """What an image in a registry is made of, its layers uncompressed."""
    return json.loads(judge("crane", "config", name))["rootfs"]


def own_rootfs(image: images.Image) -> dict:
    """The same of an image of one platform."""
    [config] = [json.loads(data) for data in image.blobs.values() if data.startswith(b"{")]
    return config["rootfs"]


def test_the_files_that_we_write_are_read_by_crane_and_regctl(mirror, judge, places, made, tmp_path):
    plain = places[PLAIN]
    alone = ("small-layers", "empty-layers")
    chosen = ("multi", "docker-types", "zstd", *alone)
    (tmp_path / "layouts").mkdir()
    wishes = []
    for kind in chosen:
        put(plain.url, f"out/{kind}", made[kind], "1")
        source = f"{plain.host}/out/{kind}:1"
        wishes += [(source, f"oci:{tmp_path}/layouts/{kind}:1"), (source, f"oci-archive:{tmp_path}/{kind}.tar:1")]
        if kind in alone:
            wishes.append((source, f"docker-archive:{tmp_path}/{kind}.save.tar:example.com/{kind}:1"))
    mirror(wishes)
    for kind in chosen:
        layout = tmp_path / "layouts" / kind
        names = {way: f"{plain.host}/in/{kind}-{way}:1" for way in ("crane", "regctl", "import")}
        judge("crane", "push", layout, names["crane"])
        judge("regctl", "image", "copy", f"ocidir://{layout}:1", names["regctl"])
        judge("regctl", "image", "import", names["import"], tmp_path / f"{kind}.tar")
        for name in names.values():
            assert judge("crane", "digest", name).decode().strip() == made[kind].root
    for kind in alone:
        saved = tmp_path / f"{kind}.save.tar"
        judge("crane", "validate", "--tarball", saved)
        judge("crane", "push", saved, f"{plain.host}/in/{kind}-saved:1")
        judge("regctl", "image", "import", f"{plain.host}/in/{kind}-saved:2", saved)
        for tag in ("1", "2"):
            assert rootfs(judge, f"{plain.host}/in/{kind}-saved:{tag}") == own_rootfs(made[kind])


def referrers(judge, name: str) -> set[str]:
    """What regctl finds to refer to an image."""
    return {entry["digest"] for entry in json.loads(judge("regctl", "artifact", "list", name, "--format", "{{json .Descriptors}}")) or []}


def test_artifacts_and_what_refers_to_them_come_along(mirror, judge, places, tmp_path):
    """Written by regctl to a registry without the referrers API, one with it, and on to one without."""
    image = multi("artifacts")
    plain, tls, other = (places[name] for name in (PLAIN, TLS, SECOND))
    put(plain.url, "artifacts", image, "1")
    name = f"{plain.host}/artifacts@{image.root}"
    (tmp_path / "parts").write_bytes(b"a list of parts")

    def attach(about, kind, data):
        words = ["--artifact-type", kind, "--subject", about, "--format", "{{.Manifest.GetDescriptor.Digest}}"]
        return judge("regctl", "artifact", "put", *words, data=data).decode().strip()

    parts = attach(name, "application/x.parts", b"a list of parts")
    signature = attach(name, "application/x.signature", b"signed")
    on_parts = attach(f"{plain.host}/artifacts@{parts}", "application/x.signature", b"signed too")
    one_platform = attach(f"{plain.host}/artifacts@{image.platforms['linux/arm64']}", "application/x.parts", b"of one platform")
    judge("regctl", "artifact", "put", "--artifact-type", "application/x.alone", f"{plain.host}/artifacts/alone:1", data=b"about nothing")
    way = [(plain, tls), (tls, other), (other, plain)]
    steps = [
        [(f"{source.host}/{a}@{image.root}", f"{target.host}/{b}:1"), (f"{source.host}/{a}/alone:1", f"{target.host}/{b}/alone:1")]
        for (source, target), (a, b) in zip(way, [("artifacts", "artifacts"), ("artifacts", "artifacts"), ("artifacts", "home")])
    ]
    results = mirror(*steps)
    for result, there in zip(results, (f"{tls.host}/artifacts", f"{other.host}/artifacts", f"{plain.host}/home")):
        assert set(result["images"][0]["referrers"]) >= {parts, signature}
        assert referrers(judge, f"{there}:1") == {parts, signature}
        assert referrers(judge, f"{there}@{parts}") == {on_parts}
        assert referrers(judge, f"{there}@{image.platforms['linux/arm64']}") == {one_platform}
        assert judge("regctl", "artifact", "get", f"{there}@{on_parts}") == b"signed too"
        assert judge("regctl", "artifact", "get", f"{there}/alone:1") == b"about nothing"
    for source, _target in way:
        assert judge("regctl", "artifact", "get", f"{source.host}/artifacts@{one_platform}") == b"of one platform"


def test_the_fallback_tag_of_a_registry_without_the_api_is_read_by_one_with_it(mirror, judge, places):
    """Made by us in a layout's own way, so that what regctl thinks of it is its own."""
    image = single("fallback")
    about = artifact(image.entry(), b"about it", "application/x.about")
    plain, other = places[PLAIN], places[SECOND]
    put(plain.url, "fallback", image, "1")
    put(plain.url, "fallback", about)
    listed = images.Image()
    listed.add_manifest({"schemaVersion": 2, "mediaType": TYPES[OCI]["index"], "manifests": [{**about.entry(), "artifactType": "application/x.about"}]})
    put(plain.url, "fallback", listed, image.root.replace(":", "-"))
    mirror([(f"{plain.host}/fallback:1", f"{other.host}/fallback:1")])
    assert referrers(judge, f"{other.host}/fallback:1") == {about.root}


@pytest.mark.parametrize("target", [TLS, SECOND])
def test_foreign_layers_stay_where_they_are(mirror, judge, places, target, tmp_path):
    """The image is the same to the byte; its other blobs are there, and a warning names what is not."""
    image, host = foreign(), places[target].host
    put(places[PLAIN].url, "foreign", image, "1")
    applied, again = mirror(*[[(f"{places[PLAIN].host}/foreign@{image.root}", f"{host}/foreign:1")]] * 2)
    assert applied["changed"] and not again["changed"] and "elsewhere" in str(applied["warnings"])
    assert judge("crane", "digest", f"{host}/foreign:1").decode().strip() == image.root
    judge("regctl", "image", "copy", f"{host}/foreign:1", f"ocidir://{tmp_path}:1")
    for digest, data in images.everything(image).items():
        assert (tmp_path / "blobs/sha256" / digest.partition(":")[2]).read_bytes() == data


def test_what_crane_and_regctl_push_is_mirrored(mirror, judge, places, made, tmp_path):
    """Pushed by them to the second registry, its digests known only to them."""
    write_layout(tmp_path / "made", **made)
    other, tls = places[SECOND].host, places[TLS].host
    pushed = {}
    for kind, image in made.items():
        write_layout(tmp_path / kind, **{"1": image})
        judge("crane", "push", tmp_path / kind, f"{other}/theirs/crane-{kind}:1")
        judge("regctl", "image", "copy", f"ocidir://{tmp_path / 'made'}:{kind}", f"{other}/theirs/regctl-{kind}:1")
        pushed |= {f"crane-{kind}": image, f"regctl-{kind}": image}
    [result] = mirror([(f"{other}/theirs/{label}:1", f"{tls}/theirs/{label}:1") for label in pushed])
    assert [image["digest"] for image in result["images"]] == [image.root for image in pushed.values()]
    for kind, image in made.items():
        judged(judge, f"{tls}/theirs/crane-{kind}:1", image, tmp_path / "judged" / kind)
