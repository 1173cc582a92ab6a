# SPDX-License-Identifier: Apache-2.0
"""Bundles: networks on disk with what is needed to trust and to run them. docs/bundle.md is the format."""

from stillflow.bundle.bundle import DEFAULT_NAME, Bundle
from stillflow.bundle.manifest import SCHEMA_VERSION, Manifest, encode_manifest, json_schema, parse_manifest
from stillflow.bundle.verify import Check

__all__ = [
    "DEFAULT_NAME",
    "SCHEMA_VERSION",
    "Bundle",
    "Check",
    "Manifest",
    "encode_manifest",
    "json_schema",
    "parse_manifest",
]
