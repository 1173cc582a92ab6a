# SPDX-License-Identifier: Apache-2.0
"""Recipes that made the shipped weights: labels, procedural scenes, one command a network."""
