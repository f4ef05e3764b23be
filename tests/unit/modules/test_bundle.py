# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of bundles through their main(), between fake registries and folders: check mode, apply, apply again, wrong input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils import bundle_writer, registry_stream
from ansible_collections.nanoagent.k8s.plugins.modules import bundle, bundle_info, bundle_inventory, bundle_load, image_mirror
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import artifact, digest_of, everything, layout_files, multi, single, store, stored, write_layout
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry
from ansible_collections.nanoagent.k8s.tests.unit.fakes.signatures import ARCHIVE, recorded_key
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

pytestmark = pytest.mark.loopback

PASSPHRASE = "canary-passphrase"


@pytest.fixture
def source():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def target():
    with FakeRegistry() as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path_factory):
    """Pauses between tries are short, so that tests are; the journal is in a folder of its own; no registry counts as far away, however slow the machine."""
    monkeypatch.setattr(registry_stream, "_FAR", float("inf"))
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(registry_stream.patience, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def keys(tmp_path):
    """(path of an encrypted private key, path of its public key)."""
    private = ec.generate_private_key(ec.SECP256R1())
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    secret, public = tmp_path / "key.pem", tmp_path / "key.pub"
    secret.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    public.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return str(secret), str(public)


@pytest.fixture
def transfer(run_module, tmp_path, source, target):
    """The four modules with what every call needs: transfer.make(...), .look(...), .load(...), .inventory(...)."""

    class Transfer:
        folder = tmp_path / "bundle"

        def _run(self, module, arguments, hosts, **mode):
            plain = {"registries": [{"host": fake.host, "plain_http": True} for fake in hosts]} if hosts else {}
            folder = {"path": str(self.folder)} if module is not image_mirror else {}
            return run_module(module.main, {**folder, **plain, **arguments}, **mode)

        def make(self, check_mode=False, diff=False, **options):
            return self._run(bundle, options, [source], check_mode=check_mode, diff=diff)

        def look(self, **options):
            return self._run(bundle_info, options, [])

        def load(self, check_mode=False, diff=False, **options):
            table = {"rewrites": [{"source": source.host, "destination": f"{target.host}/mirror"}]}
            return self._run(bundle_load, {**table, **options}, [target], check_mode=check_mode, diff=diff)

        def inventory(self, *repositories, check_mode=False, diff=False):
            arguments = {"repositories": [f"{target.host}/{name}" for name in repositories], "path": str(tmp_path / "inventory.json")}
            return self._run(bundle_inventory, arguments, [target], check_mode=check_mode, diff=diff)

    return Transfer()


def well(result):
    assert not result.get("failed"), result["msg"]
    return result


def run_warnings(result, folder) -> str:
    """The warnings that name a folder: this process keeps those of earlier calls too."""
    return "".join(str(warning) for warning in well(result).get("warnings", []) if str(folder) in str(warning))


def refused(result):
    """The one line that says why."""
    assert result["failed"] and "Traceback" not in result["msg"] and "\n" not in result["msg"], result
    return result["msg"]


def joined(folder: Path, into: Path) -> Path:
    """The layout that tar makes of the parts, pieces put together, without the code under test."""
    into.mkdir()
    for part in sorted(folder.glob("bundle-*.tar")):
        subprocess.run(["tar", "-xf", part, "-C", into], check=True)
    for first in sorted(into.glob("pieces/*.000")):
        with open(into / "blobs/sha256" / first.stem, "wb") as whole:
            for piece in sorted(first.parent.glob(f"{first.stem}.*")):
                whole.write(piece.read_bytes())
    return into


def blobs_in(layout: Path) -> dict[str, bytes]:
    found = {f"sha256:{path.name}": path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}
    assert all(digest_of(data) == digest for digest, data in found.items())
    return found


def test_check_apply_apply_again_and_over_to_the_other_side(transfer, source, target, tmp_path):
    image, other = multi(1), single(2)
    wishes = [{"source": store(source, "team/app", image, "1")}, {"source": store(source, "other", other)}]
    manifests = tmp_path / "manifests"
    (manifests / "deep").mkdir(parents=True)
    (manifests / "a.yaml").write_text("kind: Namespace\n")
    (manifests / "deep/b.yaml").write_text("kind: DaemonSet\n")
    (tmp_path / "collection.tar.gz").write_bytes(b"collection")
    given = {"images": wishes, "files": [{"path": str(manifests)}, {"path": str(tmp_path / "collection.tar.gz"), "name": "collection/it.tar.gz"}]}

    predicted = well(transfer.make(check_mode=True, diff=True, **given))
    assert predicted["changed"] and not transfer.folder.exists()
    made = well(transfer.make(diff=True, **given))
    assert made["changed"] and {**made, "lines": 0, "requests": 0} == {**predicted, "lines": 0, "requests": 0}
    assert made["digest"] == digest_of((transfer.folder / "bundle.json").read_bytes())
    assert sorted(os.listdir(transfer.folder)) == ["bundle-000.tar", "bundle.json"]
    assert image.root in made["diff"]["after"] and made["diff"]["before"] == ""

    before = layout_files(transfer.folder)
    for check_mode in (True, False):
        again = well(transfer.make(check_mode=check_mode, **given))
        assert again["changed"] is False and again["digest"] == made["digest"]
        assert again["requests"] == {source.host: {"HEAD": 1}} and layout_files(transfer.folder) == before

    seen = well(transfer.look())
    assert seen["whole"] is True and seen["digest"] == made["digest"] and "nobody" not in str(seen["problems"])
    assert [file["name"] for file in seen["files"]] == ["collection/it.tar.gz", "images.lock.yml", "manifests/a.yaml", "manifests/deep/b.yaml"]
    assert f"{transfer.folder} is not signed" in str(seen["warnings"])
    listed = well(transfer.look(verify=False))
    assert listed["whole"] is None and [image["name"] for image in listed["images"]] == [image["name"] for image in seen["images"]]

    wanted = {"files_path": str(tmp_path / "unpacked"), "lock_file": str(tmp_path / "images.lock.yml")}
    foretold = well(transfer.load(check_mode=True, diff=True, **wanted))
    assert target.writes() == [] and not (tmp_path / "unpacked").exists() and not (tmp_path / "images.lock.yml").exists()
    loaded = well(transfer.load(diff=True, **wanted))
    assert loaded["changed"] and loaded["images"] == foretold["images"] and loaded["files"] == foretold["files"]
    assert stored(target, "mirror/team/app", "1") == everything(image) and stored(target, "mirror/other", other.root) == everything(other)
    assert (tmp_path / "unpacked/manifests/deep/b.yaml").read_text() == "kind: DaemonSet\n"
    assert (tmp_path / "unpacked/collection/it.tar.gz").read_bytes() == b"collection"
    lock = {entry["source"]: entry for entry in yaml.safe_load((tmp_path / "images.lock.yml").read_text())["images"]}
    entry = lock[f"{source.host}/team/app:1"]
    assert entry["digest"] == image.root and entry["mirrors"] == [f"{target.host}/mirror/team/app:1"] and entry["platforms"] == ["linux/amd64", "linux/arm64"]
    assert entry["size"] == sum(map(len, everything(image).values()))

    done = layout_files(tmp_path / "unpacked")
    repeated = well(transfer.load(**wanted))
    assert repeated["changed"] is False and repeated["requests"] == {target.host: {"HEAD": 2}} and layout_files(tmp_path / "unpacked") == done


def test_the_same_bytes_elsewhere_and_in_another_order(transfer, source, run_module, tmp_path):
    names = [store(source, f"app{number}", multi(number), "1") for number in range(3)]
    write_layout(tmp_path / "layout", one=single(7))
    wishes = [{"source": name} for name in names]
    well(transfer.make(images=[*wishes, {"source": f"oci:{tmp_path / 'layout'}:one", "name": "example.com/one:1"}], media_size=90000))
    first = layout_files(transfer.folder)
    shutil.move(tmp_path / "layout", tmp_path / "moved")
    transfer.folder = tmp_path / "elsewhere"
    well(transfer.make(images=[{"source": f"oci:{tmp_path / 'moved'}:one", "name": "example.com/one:1"}, *reversed(wishes)], media_size=90000, parallel=2))
    assert layout_files(transfer.folder) == first and len(first) > 2


@pytest.mark.parametrize("media_size", [None, 100_000, 150_000, 1 << 30])
def test_tar_makes_a_layout_of_the_parts(transfer, source, tmp_path, media_size):
    image = multi(1, layers=4, size=120_000)
    about = artifact(image.entry(), b"a signature")
    name = store(source, "app", image, "1")
    store(source, "app", about)
    (tmp_path / "notes.txt").write_text("read me")
    made = well(transfer.make(images=[{"source": name}], files=[{"path": str(tmp_path / "notes.txt")}], media_size=media_size))
    parts = sorted(transfer.folder.glob("*.tar"))
    assert [(part.name, part.stat().st_size) for part in parts] == [(part["name"], part["size"]) for part in made["parts"]]
    assert all(part.stat().st_size <= (media_size or 1 << 40) for part in parts) and (len(parts) > 5) == (media_size in (100_000, 150_000))
    for part in parts:
        with tarfile.open(part) as archive:
            assert {"oci-layout", "index.json"} < set(archive.getnames())
            assert all((member.mtime, member.uid, member.mode) == (0, 0, 0o644) for member in archive)
    layout = joined(transfer.folder, tmp_path / "layout")
    assert everything(image).items() | everything(about).items() <= blobs_in(layout).items()
    assert (layout / "files/notes.txt").read_text() == "read me" or media_size
    named = {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in json.loads((layout / "index.json").read_text())["manifests"]
    }
    assert named[name] == image.root and {"notes.txt", "images.lock.yml", image.root.replace(":", "-")} < set(named)
    assert well(transfer.look())["whole"]


def test_what_refers_to_an_image_is_loaded_too(transfer, source, target):
    image = multi(1)
    about, signature = artifact(image.entry(), b"a bill of materials"), artifact(None, b"a signature")
    name, tag = store(source, "app", image, "1"), image.root.replace(":", "-") + ".sig"
    store(source, "app", about)
    store(source, "app", signature, tag)
    made = well(transfer.make(images=[{"source": name}], media_size=80_000))
    assert set(made["images"][0]["referrers"]) == {about.root, signature.root}
    well(transfer.load())
    assert stored(target, "mirror/app", about.root) == everything(about) and stored(target, "mirror/app", tag) == everything(signature)


def test_platforms_make_another_index_and_the_lock_tells(transfer, source, target, tmp_path):
    image = multi(1)
    made = well(transfer.make(images=[{"source": store(source, "app", image, "1"), "platforms": ["linux/arm64"]}]))
    [one] = made["images"]
    assert one["digest"] != image.root == one["original"] and one["digest"] in str(made["warnings"])
    well(transfer.load(lock_file=str(tmp_path / "lock.yml")))
    [entry] = yaml.safe_load((tmp_path / "lock.yml").read_text())["images"]
    assert entry["digest"] == image.root and entry["mirrors"] == [f"{target.host}/mirror/app:1@{one['digest']}"]
    assert transfer.make(images=[{"source": f"{source.host}/app:1", "platforms": ["linux/arm64"]}])["changed"] is False


def test_a_lock_file_decides_what_a_tag_means(transfer, source, tmp_path):
    first, second = single(1), single(2)
    name = store(source, "app", first, "1")
    entry = {"source": name, "digest": first.root, "platforms": [], "size": 1, "mirrors": []}
    (tmp_path / "lock.yml").write_text(yaml.safe_dump({"version": 1, "images": [entry]}))
    store(source, "app", second, "1")
    made = well(transfer.make(images=[{"source": name}], lock_file=str(tmp_path / "lock.yml")))
    assert made["images"][0]["digest"] == first.root
    store(source, "more", second, "1")
    assert "has no image" in refused(transfer.make(images=[{"source": f"{source.host}/more:1"}], lock_file=str(tmp_path / "lock.yml")))


def test_one_part_is_a_source_of_image_mirror(transfer, source, run_module, tmp_path):
    image = multi(1)
    name = store(source, "app", image, "1")
    well(transfer.make(images=[{"source": name}]))
    copy = {"source": f"oci-archive:{transfer.folder / 'bundle-000.tar'}:{name}", "destination": f"oci-archive:{tmp_path / 'alone.tar'}:1"}
    assert well(run_module(image_mirror.main, {"images": [copy]}))["images"][0]["digest"] == image.root
    with tarfile.open(tmp_path / "alone.tar") as archive:
        assert {digest.replace(":", "/") for digest in everything(image)} == {name.removeprefix("blobs/") for name in archive.getnames() if "sha256" in name}


# -- delta


def test_a_delta_leaves_out_what_the_destination_has(transfer, source, target, tmp_path):
    old, new = single("x", layers=3), single("x", layers=4)
    well(transfer.make(images=[{"source": store(source, "app", old, "1")}]))
    well(transfer.load())
    predicted = transfer.inventory("mirror/app", check_mode=True)
    assert predicted["changed"] and not (tmp_path / "inventory.json").exists()
    taken = well(transfer.inventory("mirror/app", diff=True))
    assert taken["changed"] and taken["blobs"] == len(old.blobs) and taken["bytes"] == sum(map(len, old.blobs.values()))
    assert transfer.inventory("mirror/app")["changed"] is False

    transfer.folder = tmp_path / "update"
    name = store(source, "app", new, "2")
    made = well(transfer.make(images=[{"source": name}], inventory=str(tmp_path / "inventory.json")))
    shared = set(old.blobs) & set(new.blobs)
    assert made["left_out"] == {"blobs": 3, "bytes": sum(len(old.blobs[digest]) for digest in shared)} and len(shared) == 3
    assert not shared & set(blobs_in(joined(transfer.folder, tmp_path / "layout")))
    assert transfer.make(images=[{"source": name}], inventory=str(tmp_path / "inventory.json"))["changed"] is False
    seen = well(transfer.look())
    assert seen["whole"] and {blob["digest"] for blob in seen["left_out"]} == shared
    # Into another repository of that registry: what is left out is taken over from the first one.
    table = [{"source": source.host, "destination": f"{target.host}/second"}]
    loaded = well(transfer.load(rewrites=table))
    assert stored(target, "second/app", "2") == everything(new)
    [image] = loaded["images"]
    assert image["left_out"] == image["mounted"] == 3 and not any(line.startswith("GET /v2/mirror/app/blobs") for line in target.requests)
    assert transfer.load(rewrites=table)["changed"] is False

    # A bundle without inventory needs what the delta has left out.
    full = well(transfer.make(images=[{"source": name}]))
    assert full["changed"] and full["left_out"]["blobs"] == 0 and well(transfer.look())["whole"]


def test_a_delta_is_refused_where_the_destination_lacks_something(transfer, source, target, tmp_path):
    old, new = single("x", layers=3), single("x", layers=4)
    store(target, "mirror/app", old, "1")
    well(transfer.inventory("mirror/app"))
    well(transfer.make(images=[{"source": store(source, "app", new, "2")}], inventory=str(tmp_path / "inventory.json")))
    lost = next(iter(set(old.blobs) & set(new.blobs)))
    del target.blobs["mirror/app", lost]
    for check_mode in (True, False):
        said = refused(transfer.load(check_mode=check_mode))
        assert lost in said and "leaves out" in said and target.writes() == []


def test_an_inventory_of_nothing_and_wrong_ones(transfer, source, target, tmp_path):
    empty = well(transfer.inventory("mirror/none"))
    assert empty["blobs"] == 0 and "is empty, or does not exist" in str(empty["warnings"])
    name = store(source, "app", single(1), "1")
    assert well(transfer.make(images=[{"source": name}], inventory=str(tmp_path / "inventory.json")))["left_out"]["blobs"] == 0
    wrong = tmp_path / "wrong.json"
    for text in ("", "[]", "{", '{"version": 2, "repositories": {}}', '{"version": 1, "repositories": {"a": {"sha256:1": 1}}}', "[" * 100_000):
        wrong.write_text(text)
        assert "is no inventory" in refused(transfer.make(images=[{"source": name}], inventory=str(wrong)))
    assert "cannot be read" in refused(transfer.make(images=[{"source": name}], inventory=str(tmp_path / "none.json")))
    assert "which is an image" in refused(transfer.inventory("mirror/app:1"))


def test_an_inventory_follows_pages_of_tags(transfer, target, monkeypatch):
    for number in range(5):
        store(target, "mirror/app", single(number), str(number))
    target.tags_at_once = 2
    assert well(transfer.inventory("mirror/app"))["blobs"] == 5 * 3


# -- signatures


def test_a_bundle_is_signed_and_whoever_asks_for_it_gets_no_other(transfer, source, target, keys, tmp_path):
    secret, public = keys
    given = {"images": [{"source": store(source, "app", single(1), "1")}], "signing_key": secret, "signing_passphrase": PASSPHRASE}
    predicted = well(transfer.make(check_mode=True, **given))
    made = well(transfer.make(**given))
    assert made["signature"] == predicted["signature"] == {"state": "verified", "key": made["signature"]["key"]} and PASSPHRASE not in json.dumps(made)
    signature = (transfer.folder / "bundle.json.sig").read_bytes()
    assert transfer.make(**given)["changed"] is False and (transfer.folder / "bundle.json.sig").read_bytes() == signature
    # As openssl sees it.
    raw = tmp_path / "raw"
    raw.write_bytes(subprocess.run(["base64", "-d"], input=signature, capture_output=True, check=True).stdout)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", raw, transfer.folder / "bundle.json"], check=True, capture_output=True)

    assert well(transfer.look(trusted_keys=[public]))["signature"] == made["signature"]
    assert "who made it is not known" not in run_warnings(transfer.load(trusted_keys=[Path(public).read_text()]), transfer.folder)
    unchecked = well(transfer.look())
    assert unchecked["signature"]["state"] == "unchecked" and "who made it is not known" in run_warnings(unchecked, transfer.folder)

    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = stranger.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    seen = len(target.requests)
    for call in (transfer.look, transfer.load):
        assert "signed by another key" in refused(call(trusted_keys=[pem]))
        assert "is a private key" in refused(call(trusted_keys=[secret]))
    (transfer.folder / "bundle.json.sig").write_bytes(b"!!!")
    assert "no signature in base64" in refused(transfer.load(trusted_keys=[public]))
    # The next run of its maker repairs it.
    assert well(transfer.make(**given))["changed"] and well(transfer.look(trusted_keys=[public]))
    (transfer.folder / "bundle.json.sig").unlink()
    assert "is not signed" in refused(transfer.load(trusted_keys=[public])) and len(target.requests) == seen
    assert refused(transfer.make(**{**given, "signing_passphrase": "wrong"})).count("wrong") == 0


def test_a_description_that_was_changed_is_not_even_read(transfer, source, keys):
    secret, public = keys
    well(transfer.make(images=[{"source": store(source, "app", single(1), "1")}], signing_key=secret, signing_passphrase=PASSPHRASE))
    path = transfer.folder / "bundle.json"
    for data in (path.read_bytes().replace(b'"version":1', b'"version":2'), b"[" * 10_000_000, b""):
        path.write_bytes(data)
        assert "was changed after it was signed" in refused(transfer.load(trusted_keys=[public]))


# -- damage


@pytest.fixture
def two_images(transfer, source):
    """A bundle of two images in several parts; their names."""
    names = [store(source, name, single(name, layers=2, size=60_000), "1") for name in ("one", "two")]
    well(transfer.make(images=[{"source": name} for name in names], media_size=140_000))
    assert len(list(transfer.folder.glob("*.tar"))) == 2
    return names


def where_is(folder: Path, digest: str) -> Path:
    def names(path):
        with tarfile.open(path) as archive:
            return archive.getnames()

    [part] = [path for path in sorted(folder.glob("*.tar")) if f"blobs/{digest.replace(':', '/')}" in names(path)]
    return part


def largest_blob(image) -> str:
    return max(image.blobs, key=lambda digest: (len(image.blobs[digest]), digest))


def test_a_lost_part_is_named_and_the_rest_is_of_use(transfer, source, target, two_images):
    digest = largest_blob(single("one", layers=2, size=60_000))
    lost = where_is(transfer.folder, digest)
    lost.unlink()
    seen = transfer.look()
    assert f"{lost.name} is missing" in refused(seen) and lost.name in seen["problems"][0]
    assert {part["name"]: part["state"] for part in seen["parts"]}[lost.name] == "missing"
    assert f"{lost.name} is missing" in refused(transfer.load()) and target.writes() == []
    usable = [image["name"] for image in seen["images"] if image["whole"]]
    for name in usable:
        assert well(transfer.load(images=[name]))["changed"]
    broken = [image["name"] for image in seen["images"] if not image["whole"]]
    assert broken and lost.name in refused(transfer.load(images=broken))


def test_an_image_whose_part_is_there_can_be_loaded_without_the_other(transfer, source, target):
    small, large = single("small", size=500), single("large", layers=2, size=100_000)
    names = [store(source, "small", small, "1"), store(source, "large", large, "1")]
    well(transfer.make(images=[{"source": name} for name in names], media_size=180_000))
    needed = {where_is(transfer.folder, digest) for digest in small.blobs}
    [spare] = set(transfer.folder.glob("*.tar")) - needed
    spare.unlink()
    assert {image["name"]: image["whole"] for image in transfer.look()["images"]} == dict(zip(names, (True, False)))
    assert spare.name in refused(transfer.load())
    assert well(transfer.load(images=names[:1]))["changed"] and stored(target, "mirror/small", "1") == everything(small)


def test_every_kind_of_damage_is_found_before_anything_is_pushed(transfer, target, two_images, tmp_path):
    parts = sorted(transfer.folder.glob("*.tar"))
    good = {part: part.read_bytes() for part in parts}

    def found(*words):
        said = refused(transfer.look())
        assert all(word in said for word in words), said
        assert refused(transfer.load()) and target.writes() == []
        for part, data in good.items():
            part.write_bytes(data)

    parts[1].write_bytes(good[parts[1]][:-1000])
    found(parts[1].name, "cut off")
    parts[1].write_bytes(good[parts[1]] + b"more")
    found(parts[1].name, "more than it was made with")
    for part, other in zip(parts, reversed(parts)):
        part.write_bytes(good[other])
    found(parts[0].name)
    parts[0].write_bytes(bytes(len(good[parts[0]])))
    found(parts[0].name, "is damaged, or is not that part")
    with tarfile.open(parts[1]) as archive:
        spots = {member.name: (member.offset, member.offset_data, member.size) for member in archive}
    for header, content, size in spots.values():
        for spot in {header, header + 200, content, content + size - 1} if size else {header}:
            data = bytearray(good[parts[1]])
            data[spot] ^= 1
            parts[1].write_bytes(data)
            found(parts[1].name, "is damaged")
    assert len(spots) > 5
    for strange in (os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink("nowhere", path)):
        for path in (parts[1], transfer.folder / "bundle.json.sig", transfer.folder / "bundle.json"):
            kept = path.read_bytes() if path.exists() else None
            path.unlink(missing_ok=True)
            strange(path)
            assert path.name in refused(transfer.look()) and refused(transfer.load()) and target.writes() == []
            os.rmdir(path) if path.is_dir() else path.unlink()
            if kept is not None:
                path.write_bytes(kept)
    assert well(transfer.look())["whole"]


def test_descriptions_that_lie_are_refused(transfer, target, two_images, tmp_path):
    path = transfer.folder / "bundle.json"
    good = path.read_bytes()

    def changed(change):
        content = json.loads(good)
        change(content)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")

    def put(key, value, number=0, field=None):
        def change(content):
            if field is None:
                content[key] = value
            else:
                content[key][number][field] = value

        return change

    lies = [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000, good + b" ", good.replace(b'":', b'": ', 1)]
    values = (None, [], {}, 5, "x", [5], [{}], -1)
    # A bundle of which no image is named is one of nothing.
    lies += [changed(put(key, value)) for key, right in json.loads(good).items() for value in values if value != right and (key, value) != ("images", [])]
    lies += [changed(put("files", name, field="name")) for name in ("../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "", "a\nb", "\ud800", "x" * 300)]
    lies += [changed(put("blobs", size, field="size")) for size in (-1, 1.5, True, "1", 1 << 70, 10**30, None)]
    lies += [changed(put("blobs", digest, field="digest")) for digest in ("sha256:0", "sha512:" + "0" * 128, "sha256:" + "0" * 64, 5)]
    lies += [changed(put("images", "\ud800", field="name")), changed(put("index", {"a": 5}, field="annotations"))]
    lies += [changed(put("media_size", 100)), changed(put("media_size", 70_000)), changed(put("parts", "../../x", field="name"))]
    for data in lies:
        path.write_bytes(data)
        said = refused(transfer.look())
        assert "bundle" in said and len(said) < 500, said
        assert transfer.load(files_path=str(tmp_path / "out"))["failed"]
    assert target.writes() == [] and not (tmp_path / "out").exists()
    path.unlink()
    assert "holds no bundle" in refused(transfer.look())


def test_an_image_that_was_made_incomplete_is_told(transfer, source, target, monkeypatch):
    image = multi(1)
    name = store(source, "app", image, "1")
    victim = largest_blob(image)
    whole = bundle_writer.Content

    made = well(transfer.make(images=[{"source": name}]))
    # As a maker with a bug would: a bundle that is all right by itself, and lacks a layer.
    content = json.loads((transfer.folder / "bundle.json").read_bytes())
    fields = {key: value for key, value in content.items() if key not in ("version", "parts")}
    lacking = whole(**{**fields, "blobs": [blob for blob in content["blobs"] if blob["digest"] != victim]})
    layout = blobs_in(joined(transfer.folder, transfer.folder.parent / "layout"))
    for part in lacking.parts:
        with open(transfer.folder / part.name, "wb") as file:
            for offset, data in part.framing():
                file.seek(offset)
                file.write(data)
            for member, offset in part.members:
                file.seek(offset)
                small = {digest_of(data): data for data in lacking.small_files.values()}
                file.write(b"" if member.link else (small | layout)[member.digest])
    (transfer.folder / "bundle.json").write_bytes(lacking.description)
    said = transfer.look()
    assert f"{name} lacks the blob {victim}" in refused(said) and said["images"][0]["whole"] is False
    assert victim in refused(transfer.load()) and target.writes() == [] and made["changed"]


# -- interruptions


def test_a_run_that_was_cut_short_is_gone_on_with(transfer, source, tmp_path):
    image = multi(1, layers=4, size=20_000)
    name = store(source, "app", image, "1")
    given = {"images": [{"source": name}], "media_size": 120_000, "parallel": 1}
    # The last one that is fetched: what would come after it may be left.
    victim = list(image.blobs)[-1]
    data = source.blobs.pop(("app", victim))
    assert victim in refused(transfer.make(**given))
    assert not list(transfer.folder.glob("bundle*"))
    source.blobs["app", victim] = data
    source.requests.clear()
    well(transfer.make(**given))
    fetched = {line.rpartition("/")[2] for line in source.requests if "/blobs/" in line}
    assert victim in fetched and len(fetched) < len(image.blobs) and well(transfer.look())["whole"]
    assert all(not path.name.startswith(".") for path in transfer.folder.iterdir())


def test_an_older_bundle_stays_until_the_new_one_is_whole_and_lends_its_blobs(transfer, source):
    first, second = single("x", layers=3, size=50_000), single("x", layers=5, size=50_000)
    name = store(source, "app", first, "1")
    old = well(transfer.make(images=[{"source": name}], media_size=150_000))
    store(source, "app", second, "1")
    fresh = set(second.blobs) - set(first.blobs)
    victim = next(iter(fresh))
    data = source.blobs.pop(("app", victim))
    refused(transfer.make(images=[{"source": name}]))
    assert well(transfer.look())["digest"] == old["digest"]
    source.blobs["app", victim] = data
    source.requests.clear()
    new = well(transfer.make(images=[{"source": name}]))
    assert new["before"] == old["digest"] != new["digest"] and well(transfer.look())["whole"]
    assert {line.rpartition("/")[2] for line in source.requests if "/blobs/" in line} <= fresh
    assert sorted(path.name for path in transfer.folder.iterdir()) == ["bundle-000.tar", "bundle.json"]


def test_a_damaged_bundle_is_repaired_by_the_next_run_where_it_can_be_seen(transfer, source):
    given = {"images": [{"source": store(source, "app", single(1, size=50_000), "1")}]}
    made = well(transfer.make(**given))
    part = transfer.folder / "bundle-000.tar"
    part.write_bytes(part.read_bytes()[:-5000])
    again = well(transfer.make(**given))
    assert again["changed"] and again["digest"] == made["digest"] and well(transfer.look())["whole"]


def test_a_blob_that_is_damaged_in_the_older_bundle_comes_from_the_source(transfer, source):
    image = single("x", layers=2, size=50_000)
    name = store(source, "app", image, "1")
    well(transfer.make(images=[{"source": name}]))
    part = transfer.folder / "bundle-000.tar"
    data, victim = bytearray(part.read_bytes()), largest_blob(image)
    data[data.index(image.blobs[victim]) + 100] ^= 1
    part.write_bytes(data)
    source.requests.clear()
    well(transfer.make(images=[{"source": name}], media_size=100_000))
    assert [line.rpartition("/")[2] for line in source.requests if "/blobs/" in line] == [victim] and well(transfer.look())["whole"]


def test_loading_that_was_cut_short_is_repeated(transfer, source, target):
    image = multi(1)
    well(transfer.make(images=[{"source": store(source, "app", image, "1")}]))
    target.fail("PUT", r"manifests/1$", status=403)
    refused(transfer.load())
    assert ("mirror/app", "1") not in target.manifests
    assert well(transfer.load())["changed"] and stored(target, "mirror/app", "1") == everything(image)
    uploads = [line for line in target.requests if line.startswith("POST")]
    assert len(uploads) == len(image.blobs)


def test_a_limit_is_kept_to_when_made_and_when_loaded(transfer, source, target, monkeypatch):
    taken = []
    monkeypatch.setattr("ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits.RateLimit.take", lambda _self, count: taken.append(count))
    image = single(1)
    size = sum(map(len, image.blobs.values()))
    well(transfer.make(images=[{"source": store(source, "app", image, "1")}], rate_limit="1M"))
    assert sum(taken) == size
    well(transfer.load(rate_limit="1M"))
    assert sum(taken) == 2 * size and stored(target, "mirror/app", "1") == everything(image)


def test_a_journal_that_cannot_be_written_is_told(transfer, source, target, tmp_path, monkeypatch):
    kept = registry_stream.StreamingRegistry.__init__.__kwdefaults__
    monkeypatch.setattr(registry_stream.StreamingRegistry.__init__, "__kwdefaults__", {**kept, "chunk": 200_000})
    monkeypatch.setattr(registry_stream, "_NOTED", 64 << 10)
    (tmp_path / "file").write_text("x")
    image = single(1, layers=1, size=900_000, packing="plain")
    well(transfer.make(images=[{"source": store(source, "app", image, "1")}]))
    loaded = well(transfer.load(journal=str(tmp_path / "file/journal")))
    assert "file/journal cannot be written" in str(loaded["warnings"]) and stored(target, "mirror/app", "1") == everything(image)


# -- wrong input


def test_wrong_input_is_told_in_one_line(transfer, source, tmp_path):
    name = store(source, "app", single(1), "1")
    write_layout(tmp_path / "layout", one=single(2))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        "the bundle would be empty": {},
        "without a name": {"images": [{"source": f"oci:{tmp_path / 'layout'}"}]},
        "without a tag": {"images": [{"source": f"oci:{tmp_path / 'layout'}", "name": "example.com/one"}]},
        "twice": {"images": [{"source": name}, {"source": name}]},
        "does not exist": {"images": [{"source": f"{source.host}/none:1"}]},
        "has no platform": {"images": [{"source": store(source, "m", multi(1), "1"), "platforms": ["linux/s390x"]}]},
        "give a larger one": {"images": [{"source": name}], "media_size": 10_000},
        "has no files": {"files": [{"path": str(tmp_path / "empty")}]},
        "neither a file nor a folder": {"files": [{"path": str(tmp_path / "pipe")}]},
        "cannot be read": {"files": [{"path": str(tmp_path / "none")}]},
        "leads elsewhere": {"files": [{"path": str(tmp_path / "file"), "name": "../x"}]},
        "is there twice": {"files": [{"path": str(tmp_path / "file"), "name": "a"}, {"path": str(tmp_path / "file"), "name": "a/b"}]},
        "give 1 or more": {"images": [{"source": name}], "parallel": 0},
        "give 16384 or more": {"images": [{"source": name}], "rate_limit": "1K"},
        "is empty": {"images": [{"source": name}], "signature_policy": "require"},
    }
    for words, given in cases.items():
        for check_mode in (True, False):
            assert words in refused(transfer.make(check_mode=check_mode, **given)), words
    assert not transfer.folder.exists()
    transfer.folder.write_text("x")
    assert "is no folder" in refused(transfer.make(images=[{"source": name}]))
    transfer.folder = tmp_path / "none" / "deeper"
    assert "is no folder" in refused(transfer.make(images=[{"source": name}]))


def test_wrong_input_of_load(transfer, source, target, tmp_path):
    well(transfer.make(images=[{"source": store(source, "app", single(1), "1")}]))
    assert "rewrites has no row for" in refused(transfer.load(rewrites=[{"source": "ghcr.io", "destination": "registry.example.com"}]))
    assert "nothing to do" in refused(transfer.load(rewrites=[]))
    assert "give 16384 or more" in refused(transfer.load(rate_limit="1K"))
    assert "has no image example.com/none:1" in refused(transfer.load(images=["example.com/none:1"]))
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked/images.lock.yml").symlink_to(outside / "stolen")
    assert "is a link" in refused(transfer.load(rewrites=[], files_path=str(tmp_path / "unpacked")))
    assert list(outside.iterdir()) == [] and target.requests == []


@pytest.mark.parametrize("form", ["simple", "bundle"])
def test_images_that_cosign_signed_are_verified_at_each_end(transfer, target, tmp_path, form):
    asked = {"signature_policy": "require", "signature_keys": [recorded_key("p256")]}
    given = {"images": [{"source": f"oci-archive:{ARCHIVE}:p256-{form}", "name": "example.com/signed:1"}], **asked}
    made = well(transfer.make(**given))
    assert made["images"][0]["signature"].startswith("verified") and transfer.make(**given)["changed"] is False
    table = [{"source": "example.com", "destination": target.host}]
    assert well(transfer.look(**asked))["images"][0]["signature"] == made["images"][0]["signature"]
    loaded = well(transfer.load(rewrites=table, **asked))
    assert loaded["images"][0]["signature"] == made["images"][0]["signature"] and loaded["images"][0]["digest"] == made["images"][0]["digest"]
    other = {**asked, "signature_keys": [recorded_key("rsa")]}
    assert "has no signature by one of the keys" in refused(transfer.load(rewrites=table, **other))
    # What is loaded is signed for everybody else too.
    copy = {"source": f"{target.host}/signed:1", "destination": f"oci:{tmp_path / 'copy'}:1"}
    again = transfer._run(image_mirror, {"images": [copy], **asked}, [target])
    assert well(again)["images"][0]["signature"].startswith("verified")


def test_an_image_that_has_to_be_signed_and_is_not(transfer, source, target, keys):
    name = store(source, "app", single(1), "1")
    asked = {"signature_policy": "require", "signature_keys": [keys[1]]}
    assert "has no signature" in refused(transfer.make(images=[{"source": name}], **asked)) and not transfer.folder.exists()
    warned = well(transfer.make(images=[{"source": name}], **{**asked, "signature_policy": "warn"}))
    assert "has no signature" in str(warned["warnings"]) and warned["images"][0]["signature"] == "missing"
    assert "has no signature" in refused(transfer.look(**asked))
    assert "has no signature" in refused(transfer.load(**asked)) and target.writes() == []
