# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.importer import Imported, import_checkpoint
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network

from ..published_checkpoints import random_checkpoint, random_tensors

WIDTH = 4


def one(path: Path, out: Path, **said: Any) -> Imported:
    (made,) = import_checkpoint(path, out, **said)
    return made


PUBLISHED = {
    "SLR-SFS baseline": ("generator", "slr", WIDTH, 452, "slr-generator"),
    "SLR-SFS version 1": ("layered", "slr", WIDTH, 1136, "slr-layered-generator"),
    "SLR-SFS motion": ("hinted_flow", "slr", 8, 142, "slr-hinted-flow"),
    "text2cinemagraph video": ("generator", "t2c", WIDTH, 452, "t2c-generator"),
    "text2cinemagraph direction": ("hinted_flow", "t2c", 8, 142, "t2c-hinted-flow"),
    "text2cinemagraph text": ("text_flow", "t2c", 32, 281, "t2c-text-flow"),
    "3D-Cinemagraphy flow": ("hinted_flow", "3dc", 8, 142, "3dc-hinted-flow"),
}


@pytest.mark.parametrize("kind", PUBLISHED)
@pytest.mark.parametrize("legacy", [False, True])
def test_published_files_are_recognised_whatever_their_name(kind: str, legacy: bool, tmp_path: Path) -> None:
    family, source, width, count, name = PUBLISHED[kind]
    path, tensors = random_checkpoint(family, tmp_path, width, source=source, legacy=legacy, name="x.bin")
    assert len(tensors) == count
    made = one(path, tmp_path / "weights")
    assert made.weights == tmp_path / "weights" / f"{name}.safetensors"
    said = json.loads((tmp_path / "weights" / f"{name}.json").read_bytes())
    assert (said["source"], said["width"], said["tensors"]["used"]) == (source, width, count)
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert said["checkpoint"]["name"] == "x.bin"
    assert said["licence"]
    assert said["licence_note"]
    assert str(tmp_path) not in json.dumps(said)
    weights = load_file(made.weights)
    assert all(value.dtype == torch.float32 for value in weights.values())
    assert sum(value.numel() for value in weights.values()) == said["parameters"]


def test_what_lies_beside_in_an_slr_file_is_named(tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH)
    receipt = one(path, tmp_path / "w").receipt
    assert receipt.checkpoint.beside == ("epoch", "optimizerD", "optimizerG")
    assert receipt.tensors.ignored == (
        "loss_function.losses.0.model.slice1.0.weight", "max_z", "min_z",
        "netD.module.discriminator_0.model0.0.weight", "splatter.xyzs",
    )  # fmt: skip
    assert receipt.loop == {"rule": "symmetric_splat", "weight_floor": None, "edge_share": 0.0}
    assert receipt.options["no_clamp_Z"] == "there"


def test_a_joint_file_gives_both_networks(tmp_path: Path) -> None:
    options = {"refine_model_type": "resnet_256W8UpDown64_de_resnet_pconv2"}
    path, tensors = random_checkpoint("joint", tmp_path, 8, options=options)
    generator, flow = import_checkpoint(path, tmp_path / "w", name="both")
    assert (generator.weights.name, flow.weights.name) == (
        "both-generator.safetensors",
        "both-hinted-flow.safetensors",
    )
    assert generator.receipt.tensors.used + flow.receipt.tensors.used == len(tensors) == 594
    assert generator.receipt.sha256 == flow.receipt.sha256
    assert flow.receipt.loop == {}


def test_our_own_networks_keep_their_training_receipt(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow, generator = build_flow_network(), build_generator_network()
    save_file({key: value.half() for key, value in flow.state_dict().items()}, tmp_path / "a.safetensors")
    save_file(generator.state_dict(), tmp_path / "b.safetensors")
    (tmp_path / "a.receipt.json").write_text('{"step": 5}')
    made = one(tmp_path / "a.safetensors", tmp_path / "w")
    assert (made.weights.name, made.receipt.licence) == ("stillflow-edge-flow.safetensors", "Apache-2.0")
    assert made.receipt.training == {"step": 5}
    again = one(tmp_path / "b.safetensors", tmp_path / "w")
    assert again.receipt.training is None
    assert set(load_file(again.weights)) == set(generator.state_dict())


def test_where_the_file_does_not_tell_the_source_must_be_said(tmp_path: Path) -> None:
    save_file(random_tensors("hinted_flow", 8), tmp_path / "a.safetensors")
    with pytest.raises(StillflowError, match="nothing in it tells who published it") as caught:
        import_checkpoint(tmp_path / "a.safetensors", tmp_path / "w")
    assert "slr (SLR-SFS), t2c (text2cinemagraph), 3dc (3D-Cinemagraphy)" in caught.value.fix
    for source, activation in (("slr", "identity"), ("t2c", "tanh"), ("3dc", "identity")):
        made = one(tmp_path / "a.safetensors", tmp_path / "w", source=source)
        assert made.receipt.options["activation"] == activation


def test_options_beside_the_tensors_tell_slr(tmp_path: Path) -> None:
    content = {"state_dict": random_tensors("hinted_flow", 8), "opts": argparse.Namespace(div_flow=2.0)}
    torch.save(content, tmp_path / "a.pth")
    receipt = one(tmp_path / "a.pth", tmp_path / "w").receipt
    assert (receipt.source, receipt.options["scale"]) == ("slr", 2.0)


def test_what_was_assumed_is_said_and_may_be_overruled(tmp_path: Path) -> None:
    path, _ = random_checkpoint("hinted_flow", tmp_path, 8, source="t2c")
    assert "bare state dict" in one(path, tmp_path / "w").receipt.assumed[0]
    assert one(path, tmp_path / "w", source="slr").receipt.options["activation"] == "identity"


def test_a_source_that_publishes_no_such_network_is_refused(tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, source="t2c")
    with pytest.raises(StillflowError, match="3D-Cinemagraphy publishes none of that form"):
        import_checkpoint(path, tmp_path / "w", source="3dc")


MISSING = (
    "encoder.gblocks.3.ch_b.0.weight_orig",
    "projector.eblocks.3.conv_b.weight_orig",
    "encoder.gblocks.1.ch_a.0.gain.weight_u",
    "projector.eblocks.7.bn_noise2.pbn.accumulation_counter",
)


@pytest.mark.parametrize("name", MISSING)
def test_missing_tensors_are_named(name: str, tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, without=(name,))
    with pytest.raises(StillflowError, match=f"{name} is missing"):
        import_checkpoint(path, tmp_path / "w")
    assert not (tmp_path / "w").exists()


CHANGED: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "extra": (
        {"encoder.gblocks.0.ch_b.1.weight": torch.zeros(1), "surprise": torch.zeros(2)},
        r"2 tensors are left over: encoder\.gblocks\.0\.ch_b\.1\.weight, surprise",
    ),
    "misshapen": (
        {"projector.eblocks.0.conv_aa.weight_orig": torch.zeros(9, 8, 3, 3)},
        r"conv_aa\.weight_orig is 9x8x3x3, 8x8x3x3 was expected",
    ),
    "misshapen where widths are read from": (
        {"encoder.gblocks.1.ch_a.2.weight_orig": torch.zeros(3, 4, 3, 3)},
        r"encoder\.gblocks\.1\.ch_a\.2\.weight_orig is 3x4x3x3, 4x4x3x3 was expected",
    ),
    "a bias where none is": (
        {"projector.eblocks.1.conv_b.bias": torch.zeros(16)}, "left over: projector.eblocks.1.conv_b.bias",
    ),
    "NaN": (
        {"encoder.gblocks.0.ch_a.2.bias": torch.full((4,), float("nan"))}, r"ch_a\.2\.bias holds NaN",
    ),
    "infinite": (
        {"encoder.gblocks.0.ch_a.0.bn.stored_mean": torch.full((3,), float("-inf"))}, "stored_mean holds NaN",
    ),
    "beyond float32 once folded": (
        {"encoder.gblocks.0.ch_a.2.weight_u": torch.full((4,), 1e-42)},
        r"encoder\.blocks\.0\.first\.weight, folded, is beyond the range of float32",
    ),
    "not calibrated": (
        {"encoder.gblocks.0.ch_a.0.bn.stored_var": torch.zeros(3)}, "stored_var is not positive",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_wrong_tensors_are_named_and_nothing_is_written(kind: str, tmp_path: Path) -> None:
    changed, why = CHANGED[kind]
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, changed=changed)
    with pytest.raises(StillflowError, match=why):
        import_checkpoint(path, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_all_problems_come_at_once_and_long_lists_are_cut(tmp_path: Path) -> None:
    names = tuple(name for name in random_tensors("hinted_flow", 8) if name.startswith("spade_layer8_0"))
    others = tuple(f"conv{i}.weight_u" for i in range(1, 9))
    changed = {"odd": torch.zeros(1)}
    path, _ = random_checkpoint("hinted_flow", tmp_path, 8, without=(*names, *others), changed=changed)
    with pytest.raises(StillflowError) as caught:
        import_checkpoint(path, tmp_path / "w")
    assert "conv1.weight_u is missing" in caught.value.why
    assert "and 2 more" in caught.value.why
    assert "left over: odd" in caught.value.why


def test_a_width_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path, _ = random_checkpoint("hinted_flow", tmp_path, 6)
    with pytest.raises(StillflowError, match="of width 6, which does not divide by 8"):
        import_checkpoint(path, tmp_path / "w")


def test_a_small_file_cannot_ask_for_a_large_network(tmp_path: Path) -> None:
    # Two of the three tensors that tell the width speak of 4000 channels, and take a few bytes.
    names = ("encoder.gblocks.1.ch_a.2.weight_orig", "encoder.gblocks.5.ch_a.2.weight_orig")
    changed = {names[0]: torch.zeros(4000, 0), names[1]: torch.zeros(8000, 0)}
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, changed=changed, options={"ngf": 8000})
    with pytest.raises(StillflowError, match="4000x3x3x3 was expected"):
        import_checkpoint(path, tmp_path / "w")
    changed = {names[0]: torch.zeros(1 << 20, 0), names[1]: torch.zeros(1 << 21, 0)}
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, changed=changed, options={"ngf": 1 << 21})
    with pytest.raises(StillflowError, match="is more than 4096"):
        import_checkpoint(path, tmp_path / "w")


def test_options_of_another_graph_are_refused(tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, options={"pconv": "pconv2"})
    with pytest.raises(StillflowError, match="option pconv is 'pconv2', another graph"):
        import_checkpoint(path, tmp_path / "w")


def test_an_older_file_has_a_floor(tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH, options={"no_clamp_Z": None})
    assert one(path, tmp_path / "w").receipt.loop["weight_floor"] == -20.0


def test_layers_without_their_generator(tmp_path: Path) -> None:
    tensors = {
        name: value for name, value in random_tensors("layered", WIDTH).items() if name.startswith("net_bg")
    }
    torch.save({"state_dict": tensors}, tmp_path / "stage2.pth")
    with pytest.raises(StillflowError, match="without the generator"):
        import_checkpoint(tmp_path / "stage2.pth", tmp_path / "w")


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH)
    one(path, tmp_path / "w", name="x")
    before = (tmp_path / "w" / "x.json").read_bytes()
    with pytest.raises(StillflowError, match="there already"):
        import_checkpoint(path, tmp_path / "w", name="x")
    assert one(path, tmp_path / "w", name="x", overwrite=True).weights.name == "x.safetensors"
    assert (tmp_path / "w" / "x.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x" * 200])
def test_names_stay_in_the_folder(name: str, tmp_path: Path) -> None:
    path, _ = random_checkpoint("generator", tmp_path, WIDTH)
    with pytest.raises(StillflowError, match="cannot be a name"):
        import_checkpoint(path, tmp_path / "w", name=name)


def test_a_vgg_alone_is_no_network(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg.pth")
    with pytest.raises(StillflowError, match=r"such as features\.0\.weight") as caught:
        import_checkpoint(tmp_path / "vgg.pth", tmp_path / "w")
    assert "flow network that reads a text" in caught.value.fix
