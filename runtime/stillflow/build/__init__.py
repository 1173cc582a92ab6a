# SPDX-License-Identifier: Apache-2.0
"""Engines: built from the graphs of a bundle for one device, kept in a cache, checked before they are used."""
