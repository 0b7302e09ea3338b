"""Pretrained weights come from a folder where there is one, and their absence is one line."""

import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from trabecula.learn.networks import backbone, pretrained

_MOBILENET = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet_mobilenetv2"
_SMALL = {"growth_rate": 4, "block_config": (1, 1, 1, 1)}


def _densenet():
    return backbone("densenet169", options=_SMALL)


def _same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(not _MOBILENET.exists(), reason="the ImageNet weights are not on this machine")
def test_grace_hopper_wears_a_military_uniform(folder):
    (folder / "mobilenetv2_100.npz").symlink_to(_MOBILENET / "mobilenet_v2_ptq_dequantised_fp16.npz")
    network = backbone("mobilenetv2_100", outputs=1001, options={"pad_type": "same"})
    assert pretrained({"mobilenetv2_100": network}) == f"imagenet: folder {folder}"
    with Image.open(_MOBILENET / "grace_hopper.bmp") as picture:
        pixels = np.asarray(picture.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
    inputs = torch.from_numpy(pixels / 127.5 - 1).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        answer = int(network.eval()(inputs).argmax())
    labels = (_MOBILENET / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    assert "military uniform" in labels[answer]


@pytest.mark.parametrize("ending", ["safetensors", "pth", "npz"])
def test_weights_of_a_folder_are_taken_over(folder, ending, caplog):
    source, target = _densenet(), _densenet()
    state = source.state_dict()
    if ending == "safetensors":
        save_file(state, folder / "densenet169.safetensors")
    elif ending == "pth":
        torch.save(state, folder / "densenet169.pth")
    else:
        np.savez(folder / "densenet169.npz", **{key: value.numpy() for key, value in state.items()})
    assert not _same(source, target)
    assert pretrained({"densenet169": target}) == f"imagenet: folder {folder}"
    assert _same(source, target)
    assert not caplog.records


def test_a_classifier_with_other_classes_keeps_its_own_weights(folder):
    source = backbone("densenet169", outputs=1000, options=_SMALL)
    torch.save(source.state_dict(), folder / "densenet169.pth")
    target = backbone("densenet169", outputs=3, options=_SMALL)
    own = target.classifier.weight.clone()
    assert pretrained({"densenet169": target}).startswith("imagenet")
    assert torch.equal(target.classifier.weight, own)
    assert torch.equal(target.features.conv0.weight, source.features.conv0.weight)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2)}),
        ("vit_base_patch16_224", {"img_size": 32, "embed_dim": 12, "depth": 1, "num_heads": 2}),
        ("resnet50", {"layers": (1, 1, 1, 1), "channels": (4, 4, 4, 4)}),
    ],
)
def test_published_classifiers_become_trunks(folder, name, options):
    source, trunk = backbone(name, outputs=1000, options=options), backbone(name, options=options)
    save_file(source.state_dict(), folder / f"{name}.safetensors")
    assert pretrained({name: trunk}) == f"imagenet: folder {folder}"
    given = source.state_dict()
    assert all(torch.equal(value, given[key]) for key, value in trunk.state_dict().items())


def test_weights_of_another_network_are_refused_in_one_line(folder, caplog):
    torch.save({"some.weight": torch.zeros(2, 2)}, folder / "swin_tiny_patch4_window7_224.pth")
    options = {"img_size": 64, "embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2)}
    network = backbone("swin_tiny_patch4_window7_224", options=options)
    assert pretrained({"swin_tiny_patch4_window7_224": network}).startswith("random: ")
    assert len(caplog.records) == 1


def test_weights_of_another_layout_are_refused_in_one_line(folder, caplog):
    torch.save(backbone("densenet169", options={**_SMALL, "growth_rate": 8}).state_dict(), folder / "densenet169.pth")
    network = _densenet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert pretrained({"densenet169": network}).startswith("random: ")
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert len(caplog.records) == 1
    assert "do not fit" in caplog.text


class _Code:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_file_with_code_in_it_is_refused(folder, caplog, capsys):
    torch.save(_Code(), folder / "densenet169.pth")
    assert pretrained({"densenet169": _densenet()}).startswith("random: ")
    assert capsys.readouterr().out == ""
    assert len(caplog.records) == 1


def test_two_networks_without_weights_are_one_line(caplog):
    networks = {"densenet169": _densenet(), "resnet50": backbone("resnet50", options={"layers": (1, 1, 1, 1)})}
    assert pretrained(networks) == "random: not reachable"
    assert [record.name for record in caplog.records] == ["trabecula"]
    assert "TRABECULA_WEIGHTS" in caplog.text


def test_a_hub_that_never_answers_is_left_after_three_seconds(monkeypatch, caplog):
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, *args, **options: time.sleep(8))
    start = time.monotonic()
    assert pretrained({"densenet169": _densenet()}) == "random: not reachable"
    assert time.monotonic() - start < 5
    assert len(caplog.records) == 1


def test_a_download_that_breaks_is_one_line(monkeypatch, caplog):
    def broken(*args, **options):
        raise OSError("the line went dead")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, *args, **options: "here")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", broken)
    assert pretrained({"densenet169": _densenet()}) == "random: the download failed: the line went dead"
    assert len(caplog.records) == 1
