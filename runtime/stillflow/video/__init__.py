# SPDX-License-Identifier: Apache-2.0
"""Sinks: where the frames of a loop go. mp4, webm, WebP, GIF, APNG, PNG sequence, raw RGB."""

from stillflow.video.batch import Batch
from stillflow.video.opening import FORMATS, check_encoder, format_of, open_sink
from stillflow.video.recording import record
from stillflow.video.sink import Sink

__all__ = ["FORMATS", "Batch", "Sink", "check_encoder", "format_of", "open_sink", "record"]
