# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from stillflow_export import cli

from ..published_checkpoints import random_checkpoint


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_joint_checkpoint_is_summed_up(folder: Path, capsys: Any) -> None:
    random_checkpoint("joint", folder, 8, options={"no_clamp_Z": None})
    assert cli.main(["import", "checkpoint.pth", "-o", "weights"]) == 0
    said = capsys.readouterr().out
    assert "weights/slr-generator.safetensors: feature generator of SLR-SFS" in said
    assert "weights/slr-hinted-flow.safetensors: hinted flow of SLR-SFS" in said
    assert "tensors: 452 used, 5 ignored (loss_function.losses.0.model.slice1.0.weight, " in said
    assert "not read: epoch, optimizerD, optimizerG" in said
    assert "weight_floor -20" in said
    assert "licence: LicenseRef-SLR-SFS-none-granted. Its repository grants no licence" in said
    assert "sha256" in said
    assert sorted(p.name for p in (folder / "weights").iterdir()) == [
        "slr-generator.json", "slr-generator.safetensors", "slr-hinted-flow.json", "slr-hinted-flow.safetensors",
    ]  # fmt: skip


def test_json_is_one_object(folder: Path, capsys: Any) -> None:
    random_checkpoint("hinted_flow", folder, 8, source="t2c")
    assert cli.main(["import", "checkpoint.pth", "--name", "mine", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["imported"]
    assert one["weights"] == "weights/mine.safetensors"
    assert one["source"] == "t2c"
    assert one["options"]["activation"] == "tanh"
    assert one["tensors"] == {"used": 142, "ignored": []}
    assert cli.main(["import", "checkpoint.pth", "--name", "mine", "--source", "3dc", "--overwrite"]) == 0
    assert "hinted flow of 3D-Cinemagraphy" in capsys.readouterr().out


class Reducer:
    def __reduce__(self) -> Any:
        return os.system, ("touch made",)


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no such file": (["none.pth"], "No such file"),
    "a folder": (["."], "is a directory"),
    "no checkpoint": (["text.pth"], "neither a file of torch nor of safetensors"),
    "a program": (["evil.pth"], "system, which is no tensor"),
    "unknown source": (["good.pth", "--source", "me"], "me"),
    "a bad name": (["good.pth", "--name", "../x"], "cannot be a name"),
    "not published so": (["good.pth", "--source", "3dc"], "publishes none of that form"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_explained_with_code_2(kind: str, folder: Path, capsys: Any) -> None:
    (folder / "text.pth").write_text("hello, world")
    torch.save({"state_dict": Reducer()}, folder / "evil.pth")
    random_checkpoint("generator", folder, 2, name="good.pth")
    arguments, why = MISTAKES[kind]
    assert cli.main(["import", *arguments]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "fix:" in said
    assert "Traceback" not in said
    assert not (folder / "weights").exists()
    assert not (folder / "made").exists()


def test_a_file_is_not_replaced(folder: Path, capsys: Any) -> None:
    random_checkpoint("generator", folder, 2)
    assert cli.main(["import", "checkpoint.pth"]) == 0
    assert cli.main(["import", "checkpoint.pth"]) == 2
    assert "--overwrite" in capsys.readouterr().err
