# SPDX-License-Identifier: Apache-2.0
"""What an import says about the weights it wrote: NAME.json beside NAME.safetensors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stillflow.errors import StillflowError

VERSION = 1

MAX_BYTES = 16 << 20
"""An honest receipt takes some kilobytes, a little more with many names left over."""

AGAIN = "import the checkpoint again with `stillflow-export import`"
"""What puts right whatever is wrong with imported weights."""

MAX_WIDTH = 4096
"""The widest published network has 320."""

Width = Annotated[int, msgspec.Meta(ge=1, le=MAX_WIDTH)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class CheckpointFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file that was imported.

    Attributes:
        name: without its folder.
        bytes: its length.
        container: how its tensors were wrapped: "zip", "legacy" or "safetensors", and "state_dict", "netG" or "bare".
        beside: other entries of the file, not read.
    """

    name: str
    bytes: Count
    container: str
    beside: tuple[str, ...] = ()


class TensorCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many tensors were used, and which were not.

    Attributes:
        used: all that the network's definition has; folded ones included.
        ignored: names of the others, which belong to parts that no frame needs.
    """

    used: Count
    ignored: tuple[str, ...] = ()


class ImportReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was imported, from where, and under which terms.

    Attributes:
        family: a key of `families.FAMILIES`.
        width: of the networks.
        source: a key of `sources.SOURCES`.
        sha256: of the checkpoint.
        weights_sha256: of the safetensors file beside the receipt.
        options: what decides how the network is run, as the checkpoint says it.
        assumed: what the checkpoint does not say, in sentences.
        loop: fields of a bundle's ``loop``.
        parameters: numbers in the safetensors file.
        training: the receipt of our own training, for our own networks.
    """

    format: Literal["stillflow-weights"] = "stillflow-weights"
    version: int = VERSION
    family: str
    width: Width
    source: str
    source_name: str
    source_url: str
    licence: str
    licence_note: str
    sha256: Sha256
    weights_sha256: Sha256
    checkpoint: CheckpointFile
    options: dict[str, str | int | float | bool | None]
    assumed: tuple[str, ...] = ()
    tensors: TensorCounts
    parameters: Count
    loop: dict[str, str | int | float | None] = {}
    training: dict[str, Any] | None = None
    made_by: str = ""


def encode_receipt(receipt: ImportReceipt) -> bytes:
    """As indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(receipt), indent=2) + b"\n"


def parse_receipt(data: bytes, where: str) -> ImportReceipt:
    """Read a receipt that came from anywhere.

    Raises:
        StillflowError: no receipt, or one of another version.
    """
    what = f"cannot use the weights {where}"
    if len(data) > MAX_BYTES:
        raise StillflowError(what, f"their receipt is larger than {MAX_BYTES} bytes", AGAIN)
    try:
        receipt = msgspec.json.decode(data, type=ImportReceipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StillflowError(what, f"their receipt is not valid: {str(error)[:300]}", AGAIN) from error
    if receipt.version != VERSION:
        raise StillflowError(
            what, f"their receipt has version {receipt.version}, this stillflow reads {VERSION}", AGAIN
        )
    return receipt
