# SPDX-License-Identifier: Apache-2.0
"""The one error a user sees: what went wrong, why, and how to fix it."""

from __future__ import annotations


class StillflowError(Exception):
    """Something the user can put right: a bad file, a bad value, a full disk.

    Everything else that escapes the library is a bug of ours. The command line turns a StillflowError
    into exit code 2 and any other exception into exit code 70.

    Args:
        what: what could not be done, with the name of the file or the option in it.
        why: the reason, with the value that was found.
        fix: what to do about it, as an instruction.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        # All three go to Exception so that the error survives pickling between processes.
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}: {self.why}\n  fix: {self.fix}"
