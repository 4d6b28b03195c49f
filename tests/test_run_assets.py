"""Assets: pinned by hash, fetched once, one sentence when something is wrong."""

import hashlib
import json
import re
import zipfile
from pathlib import Path

import httpx2
import huggingface_hub
import pytest
from builds import raises

from ecglib.run import assets
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.run.profiles import read_yaml

CONTENT = 40 * b"weights"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A project whose only asset is in a wheel of a local folder."""
    wheel = tmp_path / "wheels" / "toy_model-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy_model/weights.gguf", CONTENT)
        archive.writestr("toy_model-1.0.dist-info/METADATA", "Name: toy-model\nVersion: 1.0\n")
        archive.writestr("toy_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    pins = tmp_path / "assets.yaml"
    pins.write_text(
        "toy: {kind: wheel, package: toy-model, version: '1.0', member: toy_model/weights.gguf, "
        f"sha256: {hashlib.sha256(CONTENT).hexdigest()}}}\n"
        "hub: {kind: hub, repository: nobody/nothing, revision: '0', shape: {vocabulary: 9, "
        "width: 4, feed_forward: 8, layers: 1, heads: 1, key_value_heads: 1}}\n"
        "ours: {kind: given, about: a folder of questions, holds: [this, that]}\n"
    )
    monkeypatch.setattr(assets, "PINS", pins)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return Paths(tmp_path, tmp_path / "artifacts", tmp_path)


def test_fetched_once_then_offline(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raises(RunError, "--prefetch", assets.folder, "toy", paths, {})
    monkeypatch.setenv("PIP_FIND_LINKS", "")  # no network
    with pytest.raises(RunError, match=r"pip could not download toy-model==1\.0.*network.*--asset"):
        assets.fetch("toy", paths, {})
    assert not (paths.assets / "toy").exists()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    place = assets.fetch("toy", paths, {})
    assert (place / "weights.gguf").read_bytes() == CONTENT
    assert [path.name for path in paths.assets.iterdir()] == ["toy"], "nothing temporary is left"
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert assets.fetch("toy", paths, {}) == place


def test_a_download_from_the_hub_that_breaks_off_goes_on(paths: Paths, monkeypatch):
    """The network's error is one sentence with a remedy, and what has arrived is kept."""
    kept = paths.assets / ".hub.partial"

    def breaks_off(repository: str, local_dir: Path, **options: object):
        local_dir.mkdir(parents=True)
        (local_dir / "model.safetensors").write_bytes(CONTENT)
        raise httpx2.ReadError("connection lost")

    def goes_on(repository: str, local_dir: Path, **options: object):
        assert (local_dir / "model.safetensors").read_bytes() == CONTENT
        for file in ("config.json", "tokenizer.json"):
            (local_dir / file).write_text("{}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", breaks_off)
    message = r"nobody/nothing could not be fetched \(connection lost\); check the network"
    raises(RunError, message, assets.fetch, "hub", paths, {})
    assert (kept / "model.safetensors").exists() and not (paths.assets / "hub").exists()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", goes_on)
    assert assets.fetch("hub", paths, {}) == paths.assets / "hub"
    assert not kept.exists()


def test_given_folders(paths: Paths, tmp_path: Path, capsys):
    """A wrong hash names file, both hashes and the remedy; a model is known by its contents."""
    local = tmp_path / "weights"
    local.mkdir()
    (local / "weights.gguf").write_bytes(CONTENT)
    given = assets.parse_local([f"toy={local}"])
    assert assets.fetch("toy", paths, given) == local
    (local / "weights.gguf").write_bytes(b"other")
    other, expected = (hashlib.sha256(content).hexdigest() for content in (b"other", CONTENT))
    message = f"{local}/weights.gguf has sha256 {other}, expected {expected}; delete the folder"
    raises(RunError, re.escape(message), assets.fetch, "toy", paths, given)
    given = {"hub": local}
    (local / "config.json").write_text("{}")
    index, model = local / "model.safetensors.index.json", local / "model.safetensors"
    for lacking, file, content in (
        (r"\*\.safetensors", index, '{"weight_map": {"a": "b.safetensors"}}'),
        (r"b\.safetensors", index, "{}"),
        (r"\*\.safetensors", model, "version https://git-lfs.github.com/spec/v1"),
        (r"model\.safetensors", model, 300 * "0"),
        (r"tokenizer\.json", local / "tokenizer.json", "{}"),
    ):
        message = rf"{lacking} is missing or cut short; give the folder of a whole model"
        raises(RunError, message, assets.folder, "hub", paths, given)
        file.write_text(content)
    before = assets.identity("hub", paths, given)
    assert assets.fetch("hub", paths, given) == local
    message = "vocab_size None, the published model 9; this is another model, and claims about hub"
    assert message in capsys.readouterr().out
    sizes = dict(zip(assets.SHAPE.values(), (9, 4, 8, 1, 1, 1), strict=True))
    (local / "config.json").write_text(json.dumps(sizes))
    assert assets.fetch("hub", paths, given) == local and capsys.readouterr().out == ""
    (local / "config.json").write_text('{"a": 1}')
    assert assets.identity("hub", paths, given) != before
    assert assets.identity("hub", paths, {}) == "nobody/nothing@0"
    for value in ("toy", "nothing=/tmp", "toy=/does/not/exist"):
        with pytest.raises(RunError):
            assets.parse_local([value])


def test_an_asset_that_must_be_given_is_never_fetched(paths: Paths, tmp_path: Path):
    """It is known by its contents."""
    message = r"asset ours is never downloaded: give its folder with --asset ours=FOLDER \(a folder"
    for refused in (assets.fetch, assets.identity):
        raises(RunError, message, refused, "ours", paths, {})
    raises(RunError, message, assets.require_given, ["hub", "ours"], paths, {})
    folder = tmp_path / "given"
    folder.mkdir()
    given = assets.parse_local([f"ours={folder}"])
    raises(
        RunError,
        "given has no folder this or that; name a folder",
        assets.fetch,
        "ours",
        paths,
        given,
    )
    (folder / "that").mkdir()
    assert assets.fetch("ours", paths, given) == folder
    before = assets.identity("ours", paths, given)
    (folder / "that" / "more.json").write_text("[]")
    assert assets.identity("ours", paths, given) != before


def test_real_pins_are_complete():
    for name, pinned in read_yaml(assets.PINS).items():
        assert pinned["kind"] in ("wheel", "hub", "given"), name
        pin = pinned.get("sha256", pinned.get("revision", ""))
        assert len(pin) in (40, 64) or pinned["kind"] == "given", name
        assert pinned["licence"], name
