# SPDX-License-Identifier: Apache-2.0
"""Text that is safe inside HTML and SVG."""

from __future__ import annotations

from html import escape


def safe(text: str) -> str:
    """Escape a text, and replace what has no place in a page (control characters, lone surrogates)."""
    clean = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(text))
    return escape(clean, quote=True)
