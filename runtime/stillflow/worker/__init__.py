# SPDX-License-Identifier: Apache-2.0
"""The pipeline in a process of its own, asked over its standard input and output (docs/worker.md)."""

from stillflow.worker.worker import PROTOCOL, Worker

__all__ = ["PROTOCOL", "Worker"]
