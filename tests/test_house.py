# SPDX-License-Identifier: Apache-2.0
"""The rules of the house (CONTRIBUTING.md), checked on the source itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ROOMS = {
    "runtime": "stillflow",
    "engines": "stillflow_engines",
    "export": "stillflow_export",
    "training": "stillflow_training",
    "benchmarks": "stillflow_bench",
}
"""Top-level folder -> the package in it."""

MAY_IMPORT = {
    "stillflow": {"stillflow_engines"},
    "stillflow_engines": set(),
    "stillflow_export": {"stillflow", "stillflow_engines"},
    "stillflow_training": {"stillflow", "stillflow_export"},
    "stillflow_bench": {"stillflow", "stillflow_engines", "stillflow_export", "stillflow_training"},
}
"""Package -> the other rooms it may import. stillflow takes nothing but a path from stillflow_engines."""

DISTRIBUTIONS = {
    "PIL": "pillow",
    "av": "av",
    "click": "click",
    "cv2": "opencv-python-headless",
    "filelock": "filelock",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "platformdirs": "platformdirs",
}
"""Import name -> distribution, for what the runtime requires."""

OPTIONAL = {
    "openvino",
    "pillow_heif",
    "pillow_avif",
    "cuda",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    "pycuda",
}
"""What the runtime may import when it is there: inside a function, or in a module of that very name."""

WITHOUT_TEST: dict[str, str] = {
    "benchmarks/stillflow_bench/gpu/agreement.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/bandwidth.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/engines.py": "tests/benchmarks/gpu/test_gates.py asks which can be tried",
    "benchmarks/stillflow_bench/gpu/frames.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/imported.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/latency.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/networks.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/overhead.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/random_generator.py": "tests/benchmarks/gpu/test_plan.py draws its weights",
    "benchmarks/stillflow_bench/gpu/steady.py": "tests/benchmarks/gpu/test_suite.py measures every part",
    "benchmarks/stillflow_bench/gpu/unpack.py": "tests/benchmarks/gpu/test_pack.py unpacks with it",
    "benchmarks/stillflow_bench/gpu/versions.py": "tests/benchmarks/gpu/test_plan.py asks for them",
    "benchmarks/stillflow_bench/probe.py": "runs in processes of its own: tests/benchmarks/test_startup.py",
    "export/stillflow_export/cli/options.py": "tests/export/cli/test_onnx.py and test_bundle.py give them",
    "runtime/stillflow/features/gpu_scratch.py": "tests/runtime/features/test_gpu_painter.py plays and starves lanes",
    "export/stillflow_export/cli/summary.py": "tests/export/cli/test_onnx.py reads what it prints",
    "export/stillflow_export/networks/blocks.py": "tests/export/test_networks_generator.py builds with them",
    "runtime/stillflow/build/rebuild.py": "tests/runtime/sessions/test_tensorrt.py asks a bundle for a session",
    "runtime/stillflow/build/request.py": "types: tests/runtime/build/test_child.py sends and reads them",
    "export/stillflow_export/plan.py": "types: every test of the export builds some",
    "runtime/stillflow/gpu/cuda_core_objects.py": "tests/runtime/gpu/test_cuda_core.py makes each of them",
    "runtime/stillflow/gpu/dlpack.py": "tests/runtime/gpu/test_arrays.py hands arrays over and takes them",
    "runtime/stillflow/gpu/layer.py": "a protocol: tests/runtime/gpu/ holds every provider to it",
    "runtime/stillflow/kernels/arrays.py": "a type: every test of the kernels builds one",
    "runtime/stillflow/scenes.py": "tests/runtime/test_animator.py, _features and _gpu make every kind",
    "runtime/stillflow/sessions/tensorrt_rtx.py": "tests/runtime/sessions/test_tensorrt.py opens both",
    "runtime/stillflow/sessions/facts.py": "types: tests/runtime/sessions/test_choice.py tells some",
    "runtime/stillflow/sessions/laned_session.py": "tests/runtime/sessions/test_engine_lane.py runs one",
    "runtime/stillflow/sessions/session.py": "a protocol: tests/runtime/sessions/ holds every session to it",
    "runtime/stillflow/video/apng.py": "tests/runtime/video/test_pictures.py reads every animation back",
    "runtime/stillflow/video/gif.py": "tests/runtime/video/test_pictures.py",
    "runtime/stillflow/video/opening.py": "tests/runtime/video/test_destination.py opens every format",
    "runtime/stillflow/video/raw.py": "tests/runtime/video/test_pictures.py",
    "runtime/stillflow/video/recording.py": "tests/runtime/video/test_destination.py interrupts recordings",
    "runtime/stillflow/video/sequence.py": "tests/runtime/video/test_pictures.py",
    "runtime/stillflow/video/sink.py": "tests/runtime/video/test_destination.py",
    "runtime/stillflow/video/webp.py": "tests/runtime/video/test_pictures.py",
    "training/stillflow_training/flow_check.py": "the end of the recipe: tests/training/test_flow_recipe.py",
    "training/stillflow_training/recipe.py": "tests/training/test_classes_recipe.py and the other two run it",
    "training/stillflow_training/flow_sheets.py": "tests/training/test_flow_recipe.py draws them",
    "training/stillflow_training/flow_validation.py": "tests/training/test_flow_recipe.py asks for its figures",
    "training/stillflow_training/procedural/batch.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/clouds.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/dice.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/falls.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/pictures.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/plane.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/rivers.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/seas.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/single.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/smoke.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/streams.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/surface.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/sways.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/texture.py": "tests/training/test_procedural.py draws every kind",
    "training/stillflow_training/procedural/water.py": "tests/training/test_procedural.py draws every kind",
}
"""Modules without a test file of their name, with the reason."""

LONGEST_MODULE = 400
"""Lines."""

MOST_MODULES = 45
"""Modules that `import stillflow` may load, the standard library's included (32 were measured)."""

BAD_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
BAD_ENDINGS = ("Manager", "Helper", "Utils")


def modules() -> list[Path]:
    return sorted(path for room, package in ROOMS.items() for path in (ROOT / room / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package_of(path: Path) -> str:
    return ROOMS[path.relative_to(ROOT).parts[0]]


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield (top-level name, whether it is imported when the module is)."""
    inside = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.dump(outer.test))
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], id(node) not in inside
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0], id(node) not in inside


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_rooms_import_one_way(path: Path) -> None:
    own = package_of(path)
    others = {name for name, _ in imports(parsed(path)) if name in MAY_IMPORT and name != own}
    assert others <= MAY_IMPORT[own], f"{name_of(path)} may not import {sorted(others - MAY_IMPORT[own])}"


def test_runtime_imports_what_it_declares_and_no_more() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    declared = set(re.findall(r'"([A-Za-z0-9._-]+?)[><=]', block[1]))
    used: set[str] = set()
    for path in (ROOT / "runtime" / "stillflow").rglob("*.py"):
        for name, at_import in imports(parsed(path)):
            if name in sys.stdlib_module_names or name in MAY_IMPORT:
                continue
            if name in OPTIONAL:
                in_own_module = path.stem == name
                assert in_own_module or not at_import, f"{name_of(path)} cannot be imported without {name}"
                continue
            assert name in DISTRIBUTIONS, (
                f"{name_of(path)} imports {name}, which pyproject.toml does not require"
            )
            used.add(DISTRIBUTIONS[name])
    assert used == declared


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_modules_have_tests(path: Path) -> None:
    if path.name in ("__init__.py", "__main__.py") or name_of(path) in WITHOUT_TEST:
        return
    room, _, *inner = path.relative_to(ROOT).parts
    folder = (ROOT / "tests" / room).joinpath(*inner[:-1])
    long_name = "_".join([*inner[:-1], path.stem])
    places = [folder / f"test_{path.stem}.py", ROOT / "tests" / room / f"test_{long_name}.py"]
    found = [*folder.glob(f"test_{path.stem}*.py"), *(place for place in places if place.is_file())]
    assert found, f"no {name_of(places[0])}; write one, or give the reason in WITHOUT_TEST"


@pytest.mark.parametrize("package", ["", "page", "peers", "targets"])
def test_the_latency_suite_tells_what_each_module_is_for(package: str) -> None:
    folder = ROOT / "benchmarks" / "stillflow_bench" / "latency" / package
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    modules = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    plots = {name for name in modules if name.endswith("_plots")}  # told together
    assert [name for name in sorted(modules - plots - {"__init__"}) if f"``{name}``" not in told] == []


def test_reasons_are_about_modules_that_exist() -> None:
    assert [name for name in WITHOUT_TEST if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_names_say_something(path: Path) -> None:
    names = {path.stem, *path.relative_to(ROOT).parts[:-1]}
    classes = {node.name for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)}
    assert not names & BAD_NAMES
    assert not [name for name in classes if name.endswith(BAD_ENDINGS)]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_libraries_do_not_print(path: Path) -> None:
    calls = [node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def sources() -> list[Path]:
    found = [*modules(), *(ROOT / "tests").rglob("*.py")]
    for pattern in ("*.c", "*.h"):
        found += [*(ROOT / "runtime" / "native").rglob(pattern), *(ROOT / "tests").rglob(pattern)]
    return sorted(found)


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_sources_name_their_licence(path: Path) -> None:
    head = path.read_text(encoding="utf-8").splitlines()[:2]
    assert any("SPDX-License-Identifier: Apache-2.0" in line for line in head)


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_sources_hold_no_path_of_one_machine(path: Path) -> None:
    found = re.findall(r"[\"' (]/(?:home|root|Users|work)/\w+", path.read_text(encoding="utf-8"))
    assert not found


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_runtime_imports_without_torch_and_its_company() -> None:
    run(
        f"""
optional = {OPTIONAL!r}
"""
        """
import importlib, pkgutil, sys
for name in ("torch", "onnx", "onnxscript", "onnxslim", "safetensors", "matplotlib", "scipy"):
    sys.modules[name] = None
import stillflow
for module in pkgutil.walk_packages(stillflow.__path__, "stillflow."):
    if module.name.split(".")[-1] not in {"__main__", *optional}:
        importlib.import_module(module.name)
"""
    )


def test_importing_stillflow_loads_next_to_nothing() -> None:
    names = run(
        "import sys; before = set(sys.modules); import stillflow; print(*set(sys.modules) - before)"
    ).split()
    assert len(names) <= MOST_MODULES
    assert not {"numpy", "cv2", "av", "onnxruntime", "PIL", "click"} & set(names)


def test_help_needs_no_heavy_library() -> None:
    out = run(
        """
import sys
from stillflow.cli import main
try:
    sys.argv = ["stillflow", "--help"]
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"numpy", "cv2", "av", "onnxruntime", "PIL"} & set(sys.modules)
assert not heavy, heavy
"""
    )
    assert "animate" in out


def test_one_version() -> None:
    import stillflow

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{stillflow.__version__}"' in text
    assert f"## {stillflow.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_sample_photos_have_credits() -> None:
    folder = ROOT / "samples"
    text = (folder / "CREDITS.md").read_text(encoding="utf-8")
    for path in folder.glob("*.jpg"):
        assert f"| {path.name} |" in text
        assert path.stat().st_size < 600_000


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == [f"{i:04d}" for i in range(1, len(numbers) + 1)]
