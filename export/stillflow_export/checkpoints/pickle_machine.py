# SPDX-License-Identifier: Apache-2.0
"""Reads the pickle inside a checkpoint as data: no class is imported, no function is called.

A pickle is a program for a small stack machine, and the usual one runs whatever it names. This one knows the opcodes
that tensors, plain containers and ``argparse.Namespace`` need; a global is a pair of words to it, and a call of one
becomes a value of our own, or a refusal with its name. Opcodes and their meaning: ``pickletools`` of the standard
library, whose ``genops`` decodes them here.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

MAX_STEPS = 5_000_000
"""Opcodes, and items that calls copy. A tensor takes about 32: far beyond any honest file."""

_MARK: Final = object()

_PUSHED = frozenset(
    {
        "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING", "BINBYTES",
        "SHORT_BINBYTES", "BINBYTES8",
    }
)  # fmt: skip
"""Opcodes whose argument is the value."""

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class RefusedError(Exception):
    """The pickle holds what it may not, or is no pickle; the message says what."""


@dataclass(frozen=True)
class Global:
    """A name in the pickle, such as ``collections OrderedDict``: never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Options(dict[str, Any]):
    """An ``argparse.Namespace``: its attributes by name."""


Call = Callable[[tuple[Any, ...]], Any]


def read_pickle(file: BinaryIO, calls: dict[Global, Call | None], persistent: Callable[[Any], Any]) -> Any:
    """Read one pickle and leave the file behind its end.

    Args:
        file: open at the pickle, of bounded length (arguments are read whole).
        calls: the globals that may be named; what a call of each gives, None when it may not be called.
        persistent: turns a persistent id (a storage) into a value.

    Raises:
        RefusedError: with the opcode or the global that is not admitted, or what is damaged.
    """
    try:
        return _Machine(calls, persistent).run(file)
    except RefusedError:
        raise
    # Wrong operands: a value where a list must be, a stack that is too short, bytes that are no UTF-8, a bad
    # number, an unhashable key, nesting beyond the interpreter's stack.
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, EOFError, OverflowError) as error:
        raise RefusedError(f"its pickle is damaged ({type(error).__name__}: {str(error)[:120]})") from error
    except RecursionError as error:
        raise RefusedError("its pickle is nested too deeply") from error


class _Machine:
    def __init__(self, calls: dict[Global, Call | None], persistent: Callable[[Any], Any]) -> None:
        self.calls = calls
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0

    def run(self, file: BinaryIO) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise RefusedError(f"its pickle takes more than {MAX_STEPS} steps")
            name = opcode.name
            if name == "STOP":
                break
            if name in _PUSHED:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _TUPLES:
                items = self._popped(_TUPLES[name])
                self.stack.append(tuple(items))
            else:
                step = getattr(self, f"_{name.lower()}", None)
                if step is None:
                    raise RefusedError(
                        f"its pickle needs the opcode {name}, which no checkpoint of tensors does"
                    )
                step(argument)
        if len(self.stack) != 1 or self.stack[0] is _MARK:
            raise RefusedError("its pickle does not end with one value")
        return self.stack[0]

    def _popped(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        if len(items) < count or any(item is _MARK for item in items):
            raise IndexError("the stack is too short")
        del self.stack[-count:]
        return items

    def _marked(self) -> list[Any]:
        """Pop what was pushed since the last mark, and the mark."""
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise IndexError("there is no mark")

    # One method an opcode, by its name.

    def _proto(self, version: int) -> None:
        if version > 5:
            raise RefusedError(f"its pickle has protocol {version}, 5 is the newest known")

    def _frame(self, _: int) -> None:
        """Frames say how much to read ahead."""

    def _mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: None) -> None:
        self.stack.pop()

    def _pop_mark(self, _: None) -> None:
        self._marked()

    def _empty_dict(self, _: None) -> None:
        self.stack.append({})

    def _empty_list(self, _: None) -> None:
        self.stack.append([])

    def _empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def _empty_set(self, _: None) -> None:
        self.stack.append(set())

    def _tuple(self, _: None) -> None:
        self.stack.append(tuple(self._marked()))

    def _list(self, _: None) -> None:
        self.stack.append(self._marked())

    def _dict(self, _: None) -> None:
        items = self._marked()
        self.stack.append(dict(zip(map(_key, items[::2]), items[1::2], strict=True)))

    def _append(self, _: None) -> None:
        (item,) = self._popped(1)
        _of(list, self.stack[-1]).append(item)

    def _appends(self, _: None) -> None:
        items = self._marked()
        _of(list, self.stack[-1]).extend(items)

    def _additems(self, _: None) -> None:
        items = self._marked()
        _of(set, self.stack[-1]).update(map(_key, items))

    def _setitem(self, _: None) -> None:
        key, value = self._popped(2)
        _of(dict, self.stack[-1])[_key(key)] = value

    def _setitems(self, _: None) -> None:
        items = self._marked()
        _of(dict, self.stack[-1]).update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def _binput(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    _long_binput = _binput
    _put = _binput

    def _memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _binget(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _long_binget = _binget
    _get = _binget

    def _global(self, words: str) -> None:
        module, _, name = words.partition(" ")
        self._push_global(module, name)

    def _stack_global(self, _: None) -> None:
        module, name = self._popped(2)
        self._push_global(module, name)

    def _push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a global is not named by words")
        # Python 2 and 3 name these two modules differently.
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        found = Global(module, name)
        if found not in self.calls:
            raise RefusedError(
                f"its pickle names {str(found)[:200]}, which is no tensor and no plain container"
            )
        self.stack.append(found)

    def _reduce(self, _: None) -> None:
        function, arguments = self._popped(2)
        self.stack.append(self._called(function, arguments))

    _newobj = _reduce

    def _called(self, function: object, arguments: object) -> Any:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise TypeError("a call of what is no function")
        call = self.calls[function]
        if call is None:
            raise RefusedError(f"its pickle calls {function}, which may be named but not called")
        # One list may be handed to many calls that copy it.
        self.steps += sum(len(a) for a in arguments if isinstance(a, list | tuple | set | dict | str | bytes))
        if self.steps > MAX_STEPS:
            raise RefusedError(f"its pickle takes more than {MAX_STEPS} steps")
        return call(arguments)

    def _build(self, _: None) -> None:
        (state,) = self._popped(1)
        target = self.stack[-1]
        if isinstance(target, Options):
            target.update((_of(str, key), value) for key, value in _of(dict, state).items())
        elif not isinstance(target, dict):
            raise RefusedError(f"its pickle sets attributes of a {type(target).__name__}")
        # A state dict carries versions of its modules as an attribute: nothing in them is needed.

    def _binpersid(self, _: None) -> None:
        (name,) = self._popped(1)
        self.stack.append(self.persistent(name))


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {kind.__name__} was needed, a {type(value).__name__} was there")
    return value


def _key(value: Any) -> Any:
    """Let simple keys through: hashing a tuple nested a million deep overflows the stack of C."""
    parts = value if isinstance(value, tuple) else (value,)
    if not all(part is None or isinstance(part, str | bytes | int | float) for part in parts):
        raise TypeError(f"a {type(value).__name__} cannot be a key")
    return value
