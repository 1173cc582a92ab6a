# SPDX-License-Identifier: Apache-2.0
"""Opens a checkpoint without trusting it: both forms of torch's files, and safetensors.

Nothing of the file runs, nothing is larger in memory than in the file, and a tensor is read when it is asked for:
published checkpoints carry optimisers, discriminators and a VGG beside the network.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.in_safetensors import SafetensorsTensor, open_safetensors
from stillflow_export.checkpoints.pickle_machine import RefusedError
from stillflow_export.checkpoints.stored import StoredTensor
from stillflow_export.checkpoints.torch_legacy import TorchLegacy
from stillflow_export.checkpoints.torch_zip import TorchZip

_FIX = (
    "give a checkpoint as its authors published it, or fetch it again; one with other content can be written anew "
    "where it was made, with `safetensors.torch.save_file(state_dict, ...)`"
)


class Checkpoint:
    """An open checkpoint; use it in a ``with`` statement.

    Args:
        path: the file.

    Attributes:
        content: what was saved: plain containers, `pickle_machine.Options`, and tensors that were not read yet.
        kind: "zip", "legacy" or "safetensors".
        bytes: length of the file.

    Raises:
        StillflowError: no such file, or one that may not be read, with the reason.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._what = f"cannot read the checkpoint {path}"
        self._data: mmap.mmap | None = None
        try:
            if path.exists() and not path.is_file():
                raise RefusedError("it is no plain file")
            self._file = path.open("rb")
        except OSError as error:
            raise StillflowError(self._what, error.strerror or str(error), "check the path") from error
        except (RefusedError, ValueError) as error:
            raise StillflowError(self._what, str(error), "check the path") from error
        try:
            self.bytes = path.stat().st_size
            if not self.bytes:
                raise RefusedError("it is empty")
            self._data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self._storages, self.kind, self.content = self._opened(self._data)
        except RefusedError as error:
            self.close()
            raise StillflowError(self._what, str(error), _FIX) from error
        except (OSError, MemoryError) as error:
            self.close()
            raise StillflowError(self._what, str(error) or "there is not enough memory", _FIX) from error
        except BaseException:
            self.close()
            raise

    def _opened(self, data: mmap.mmap) -> tuple[TorchZip | TorchLegacy | None, str, Any]:
        if data[:4] == b"PK\x03\x04":
            archive = TorchZip(self._file, data)
            return archive, "zip", archive.content
        if data[:1] == b"\x80":
            legacy = TorchLegacy(data)
            return legacy, "legacy", legacy.content
        if data[8:9] == b"{":
            return None, "safetensors", open_safetensors(self.path)
        raise RefusedError("it is neither a file of torch nor of safetensors")

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; tensors that were read stay."""
        if self._data is not None:
            self._data.close()
        self._file.close()

    def sha256(self) -> str:
        """Hash of the whole file, in hexadecimal."""
        assert self._data is not None
        digest = hashlib.sha256()
        for start in range(0, self.bytes, 1 << 24):
            digest.update(self._data[start : start + (1 << 24)])
        return digest.hexdigest()

    def read(self, tensor: Any) -> torch.Tensor:
        """Return a tensor of ``content``, on the CPU, in its own dtype.

        Raises:
            StillflowError: its numbers are not there, or damaged.
        """
        try:
            if isinstance(tensor, SafetensorsTensor):
                return tensor.read()
            assert isinstance(tensor, StoredTensor)
            assert self._storages is not None
            return tensor.read(self._storages)
        except RefusedError as error:
            raise StillflowError(self._what, str(error), _FIX) from error
        except MemoryError as error:
            raise StillflowError(self._what, "there is not enough memory", _FIX) from error
