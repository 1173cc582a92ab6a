# SPDX-License-Identifier: Apache-2.0
"""A bundle that is open: its manifest, its files with their hashes checked, its graphs as sessions."""

from __future__ import annotations

import hashlib
import importlib
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillflow.bundle.manifest import MAX_MANIFEST_BYTES, Graph, Manifest, parse_manifest
from stillflow.bundle.store import Store, open_store
from stillflow.bundle.verify import Check, Precisions, run_checks
from stillflow.errors import StillflowError
from stillflow.sessions import Arithmetic, Device, NoEngineError, Session, cuda_index, open_session
from stillflow.sessions.wish import ENGINES

if TYPE_CHECKING:
    from stillflow.build.builder import Orders
    from stillflow.gpu.layer import CudaDevice

DEFAULT_NAME = "edge"
"""The shipped bundle that is opened when none is named."""

_EXTERNAL_DATA = b"\x0a\x08location"
"""How an ONNX file says that a tensor lies in another file: the key of an external_data entry."""


class Bundle:
    """Networks on disk: manifest, graphs, test vectors, receipts, licences.

    Opening reads the manifest only. Every other file is read when it is needed, whole, and its length
    and SHA-256 are compared with the manifest before a byte of it is used.

    Attributes:
        manifest: what the bundle says about itself.
        where: name of the folder or file, for messages.
        named: as it was opened: its path, or the name of a shipped one.
        sha256: of manifest.json, which holds the hashes of all other files: the same for the same bundle only.
    """

    def __init__(self, manifest: Manifest, store: Store, sha256: str = "") -> None:
        self.manifest = manifest
        self.sha256 = sha256
        self.where = self.named = store.where
        self._store = store

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> Bundle:
        """Open a bundle.

        Args:
            path: a folder, an uncompressed zip of one, or the bare name of a shipped bundle such as
                "edge"; a shipped name wins over a folder of that name, "./edge" is the folder. None:
                the default bundle.

        Raises:
            StillflowError: nothing there, not a bundle, a newer major version, or a manifest that is
                malformed or contradicts itself.
        """
        if path is None or path == "":
            path = DEFAULT_NAME
        store = open_store(_located(path))
        try:
            data = store.read("manifest.json", MAX_MANIFEST_BYTES)
            opened = cls(parse_manifest(data, store.where), store, hashlib.sha256(data).hexdigest())
        except BaseException:
            store.close()
            raise
        opened.named = os.fspath(path)
        return opened

    def read(self, path: str) -> bytes:
        """Return the bytes of one of the bundle's files, after comparing them with the manifest.

        Raises:
            StillflowError: not listed in the manifest, missing, or other bytes than the manifest says.
        """
        what = f"cannot read {path} of the bundle {self.where}"
        entry = self.manifest.file(path)
        if entry is None:
            fix = "see `stillflow bundle show` for what it holds"
            raise StillflowError(what, "the manifest does not list it", fix)
        data = self._store.read(path, entry.bytes)
        if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise StillflowError(
                what,
                "its bytes are not those the manifest was written for: it is damaged or was changed",
                "fetch or export the bundle again",
            )
        return data

    def graph(self, name: str) -> Graph:
        """Return the description of a graph.

        Raises:
            StillflowError: the bundle has no graph of that name.
        """
        graph = self.manifest.graph(name)
        if graph is None:
            raise StillflowError(
                f"the bundle {self.where} has no graph '{name}'",
                f"it has {', '.join(g.name for g in self.manifest.graphs)}",
                "name one of those, or use another bundle",
            )
        return graph

    def graph_bytes(self, name: str, precision: str | None = None) -> bytes:
        """Return a graph's ONNX file, whole and checked.

        Args:
            name: of the graph.
            precision: "fp32", "fp16" or "int8"; None: the manifest's default.

        Raises:
            StillflowError: no such graph or precision, damaged, or weights outside of the file.
        """
        graph = self.graph(name)
        precision = precision or self.manifest.default_precision
        variant = graph.at(precision)
        if variant is None:
            has = [v.precision for v in graph.all_variants]
            raise StillflowError(
                f"the bundle {self.where} has no {precision} file of the graph {name}",
                f"it has {', '.join(has)}",
                f"use {' or '.join(has)}",
            )
        data = self.read(variant.file)
        if _EXTERNAL_DATA in data:
            raise StillflowError(
                f"cannot use the graph {name} of the bundle {self.where}",
                "it wants to read weights from another file, which a bundle must not",
                "export it again with the weights inside",
            )
        return data

    def session(
        self,
        graph_name: str,
        engine: str = "onnxruntime",
        *,
        precision: str | None = None,
        threads: int | None = None,
        device: Device = "auto",
        arithmetic: Arithmetic = "f32",
        allow_fallback: bool = False,
        cuda: CudaDevice | None = None,
        build: Orders | None = None,
        judge: bool = True,
    ) -> Session:
        """Load a graph on an engine. Each call loads it anew (20 to 100 ms): keep what it returns.

        Args:
            graph_name: of the graph.
            engine: see `stillflow.sessions.open_session`, also for the other options.
            precision: which of the graph's files; None: the manifest's default.
            threads: that one run uses; None: all cores.
            device: where it runs.
            arithmetic: see there.
            allow_fallback: see there.
            cuda: see there.
            build: how to build an engine of tensorrt or tensorrt_rtx where the cache has none that may be loaded
                here; None: that is an error.
            judge: run gate C, which takes a moment, on an engine that it has not judged on this machine: one
                that was built elsewhere.

        Raises:
            StillflowError: as `graph_bytes` and `open_session`, or the graph's inputs and outputs are not
                those of the manifest.
        """
        with self._named_in_fixes(precision or self.manifest.default_precision):
            data = self.graph_bytes(graph_name, precision)
            name = f"{graph_name} of {self.where}"

            def load() -> Session:
                return open_session(
                    data,
                    engine,
                    threads=threads,
                    device=device,
                    arithmetic=arithmetic,
                    name=name,
                    allow_fallback=allow_fallback,
                    cuda=cuda,
                )

            try:
                session = load()
            except NoEngineError as error:
                if build is None or not error.worth_building:
                    raise
                from stillflow.build.rebuild import build_missing

                index = cuda.index if cuda is not None else 0 if device == "auto" else cuda_index(device) or 0
                build_missing(self, graph_name, ENGINES.get(engine, engine), precision, index, build)
                session = load()
            graph = self.graph(graph_name)
            for side, tensors, specs in (
                ("inputs", graph.inputs, session.inputs),
                ("outputs", graph.outputs, session.outputs),
            ):
                said = {t.name: (t.dtype, len(t.shape)) for t in tensors}
                found = {s.name: (s.dtype, len(s.shape)) for s in specs}
                if said != found:
                    raise StillflowError(
                        f"cannot use the graph {graph_name} of the bundle {self.where}",
                        f"the manifest gives it the {side} {said} and the file has {found}",
                        "export the bundle again",
                    )
            unjudged: Any = session if judge and getattr(session, "unjudged", None) is not None else None
            if unjudged is not None:
                from stillflow.build.rebuild import judge_first

                judge_first(self, graph_name, unjudged, build)
            return session

    @contextmanager
    def _named_in_fixes(self, precision: str) -> Iterator[None]:
        """Write this bundle and a precision into the lines that build engines: sessions know the file alone."""
        try:
            yield
        except StillflowError as error:
            fix = error.fix.replace("build BUNDLE ", f"build {shlex.quote(self.named)} ")
            error.fix = fix.replace("--precision PRECISION", f"--precision {precision}")
            error.args = (error.what, error.why, error.fix)
            raise

    def verify(
        self,
        engine: str = "onnxruntime",
        *,
        precision: Precisions = None,
        threads: int | None = None,
        device: Device = "auto",
        allow_fallback: bool = False,
    ) -> list[Check]:
        """Check every file's hash, load every graph, and run every test vector through a session.

        Args:
            engine: to run on.
            precision: which of the graphs' files, for all or graph -> precision; "all": every one; None: the
                manifest's default. A graph without a file of it, and a vector without a tolerance for it, are failed
                checks.
            threads: that one run uses; None: all cores.
            device: where it runs.
            allow_fallback: what the GPU cannot do may run on the CPU; the checks then say what did.

        Returns:
            One Check for each thing that was checked, failed ones included; nothing of the bundle raises.

        Raises:
            StillflowError: there is no such precision.
        """
        return list(
            self.checks(
                engine, precision=precision, threads=threads, device=device, allow_fallback=allow_fallback
            )
        )

    def checks(
        self,
        engine: str = "onnxruntime",
        *,
        precision: Precisions = None,
        threads: int | None = None,
        device: Device = "auto",
        allow_fallback: bool = False,
    ) -> Iterator[Check]:
        """As `verify`, but each Check comes when it is done."""
        return run_checks(self, engine, precision, threads, device, allow_fallback)

    def close(self) -> None:
        """Let go of the zip file, when it is one. Sessions made before stay usable."""
        self._store.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Bundle({self.manifest.name!r}, {self.where!r})"


def _located(path: str | os.PathLike[str]) -> Path:
    """Turn a path or a shipped name into a path."""
    if isinstance(path, str) and not any(mark in path for mark in ("/", os.sep, ".")):
        shipped = _shipped()
        if path in shipped:
            return shipped[path]
        # A name means a path only when something is there.
        if not Path(path).exists():
            raise StillflowError(
                f"cannot open the bundle {path}",
                "no bundle of that name is shipped, and there is no such folder or file",
                f"use {' or '.join(shipped)}, or the path of a bundle"
                if shipped
                else "give the path of a bundle, or install stillflow again: its shipped bundles are missing",
            )
    return Path(path)


def _shipped() -> dict[str, Path]:
    """Bundles of the data package stillflow_engines, by name; empty when it is not installed."""
    try:
        engines = importlib.import_module("stillflow_engines")
    except ModuleNotFoundError:
        return {}
    return {name: engines.bundle_path(name) for name in engines.bundle_names()}
