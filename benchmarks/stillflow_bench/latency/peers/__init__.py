# SPDX-License-Identifier: Apache-2.0
"""What anybody could use instead of stillflow, and the limits that nothing beats: targets like ours, loaded alike.

A peer is used the best way that its library documents, and says which way that is. Its outputs are held to ours where
it does the same work. Where its library is absent it refuses (``installed``), and the run goes on without it.

The same networks (``both_networks``): ``raw_onnxruntime``, ``raw_openvino``, ``raw_tensorrt``, ``torch_networks``. The
published family (``published``): ``published_torch``, ``published_onnxruntime``. Torch computes in a ``torch_place``.
Of the same scenes as ours (``moving_scenes``): the baseline ``plain_warp`` and the limit ``encode_only``. The limit of
a frame: ``copy_frame``.
"""
