# SPDX-License-Identifier: Apache-2.0
"""Feature scenes: encode a photo once, then splat its features and decode them for every frame."""
