# SPDX-License-Identifier: Apache-2.0
"""Where two precisions or engines part: tensors inside of two graphs compared on the same inputs."""

from stillflow_export.compare.comparison import Comparison, compare
from stillflow_export.compare.side import Side, open_sides
from stillflow_export.compare.tensor_error import TensorError

__all__ = ["Comparison", "Side", "TensorError", "compare", "open_sides"]
