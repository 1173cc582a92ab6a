# SPDX-License-Identifier: Apache-2.0
"""Made-up /proc and /sys: what they say is read, and whatever they say instead raises nothing."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow_bench.latency.host_readings import (
    HostReader,
    load,
    mhz,
    number,
    own_processes,
    own_seconds,
    processor_seconds,
    text_of,
    throttled,
)

TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def stat(pid: int, name: str, *ticks: int) -> str:
    return f"{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 {' '.join(map(str, ticks))} 20 0 1 0 0"


def test_load_and_processor_time(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "proc/loadavg": "0.42 0.1 0.1 1/95 7\n",
            "proc/stat": "cpu  100 20 30 999 888 4 5 6 70 0\ncpu0 1 1\n",
        },
    )
    assert load(tmp_path) == 0.42
    assert processor_seconds(tmp_path, [0]) == (159 / TICKS, 6 / TICKS)


def test_of_a_shared_host_only_the_processors_at_hand_count(tmp_path: Path) -> None:
    lines = ["cpu  1000 0 0 9 0 0 0 100 0 0", *(f"cpu{k} {10**k} 0 0 9 0 0 0 {k} 0 0" for k in range(4))]
    tree(tmp_path, {"proc/stat": "\n".join([*lines, "intr 5 6"])})
    assert processor_seconds(tmp_path, [1, 3]) == (1010 / TICKS, 4 / TICKS)
    assert processor_seconds(tmp_path, [2]) == (100 / TICKS, 2 / TICKS)
    # Numbered otherwise than the system does: nobody knows which of them are ours.
    assert processor_seconds(tmp_path, [1, 7]) == (1000 / TICKS, 100 / TICKS)
    tree(tmp_path, {"proc/stat": "cpu 1 2 3\n"})
    assert processor_seconds(tmp_path, [0]) == (None, None)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_what_others_do_on_processors_out_of_reach_is_not_told() -> None:
    at_hand = os.sched_getaffinity(0)
    if len(at_hand) < 2:
        pytest.skip("there is one processor")
    reader = HostReader()
    whole = processor_seconds()[0]
    os.sched_setaffinity(0, {min(at_hand)})
    try:
        part, still_whole = processor_seconds()[0], reader.read()["busy"]
    finally:
        os.sched_setaffinity(0, at_hand)
    if whole is None:
        pytest.skip("this system does not tell")
    # A reader that has begun goes on with the processors that it began with.
    assert part is not None and still_whole is not None and part < whole <= still_whole


def test_processor_time_of_all_that_came_of_a_process(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "proc/7/stat": stat(7, "a (strange) name)", 1, 2, 30, 40),
            "proc/7/task/7/children": "8 ",
            "proc/7/task/70/children": "9 7 ",  # a tree that bites its own tail
            "proc/8/stat": stat(8, "b", 100, 0, 0, 0),
            "proc/9/task/9/children": "",
        },
    )
    assert sorted(own_processes(7, tmp_path)) == [7, 8, 9]
    assert own_seconds(7, tmp_path) == 173 / TICKS
    assert own_seconds(12, tmp_path) is None


def test_a_kernel_without_lists_of_children_is_asked_for_parents(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "proc/7/task/7/comm": "a",
            "proc/7/stat": stat(7, "a", 1, 0, 0, 0),
            "proc/8/stat": stat(8, "b", 10, 0, 0, 0).replace(" S 1 ", " S 7 "),
            "proc/9/stat": stat(9, "(c) S 7 ", 100, 0, 0, 0).replace(" S 1 ", " S 8 "),
            "proc/10/stat": stat(10, "another", 1000, 0, 0, 0),
            "proc/11/stat": "nothing",
            "proc/self/stat": stat(12, "itself", 1, 0, 0, 0).replace(" S 1 ", " S 7 "),
        },
    )
    assert sorted(own_processes(7, tmp_path)) == [7, 8, 9]
    assert own_seconds(7, tmp_path) == 111 / TICKS


@pytest.mark.parametrize(
    ("cgroup", "files", "found"),
    [
        ("0::/a/b\n", {"a/cpu.stat": "nr_throttled 3\n", "a/b/cpu.stat": "usage 1\nnr_throttled 4\n"}, 7),
        ("0::/../../a\n", {"a/cpu.stat": "nr_throttled 3\n"}, 3),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.stat": "nr_periods 9\nnr_throttled 5\n"}, 5),
        ("4:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.stat": "nr_throttled 6\n"}, 6),
        ("4:cpuset:/x\n", {"cpuset/x/cpu.stat": "nr_throttled 6\n"}, None),
        ("0::/a\n", {"a/cpu.stat": "nr_throttled many\n"}, None),
    ],
)
def test_throttling_of_both_kinds_of_groups(
    tmp_path: Path, cgroup: str, files: dict[str, str], found: int | None
) -> None:
    tree(tmp_path, {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{n}": t for n, t in files.items()}})
    assert throttled(tmp_path) == found


def test_clocks_of_the_cores_at_hand(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    tree(tmp_path, {"proc/cpuinfo": "cpu MHz\t\t: 2000.5\ncpu MHz\t\t: 3000.5\ncpu MHz : much\n"})
    assert mhz(tmp_path) == 3000.5
    tree(tmp_path, {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": "1800000\n"})
    assert mhz(tmp_path) == 1800


def test_the_hottest_sensor_that_makes_sense(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/temp": "41000\n",
            "sys/class/thermal/thermal_zone1/temp": "999000\n",
            "sys/class/thermal/cooling_device0/temp": "88000\n",
            "sys/class/hwmon/hwmon0/temp2_input": "52500\n",
            "sys/class/hwmon/hwmon0/temp2_max": "99000\n",
        },
    )
    assert HostReader(tmp_path).celsius() == 52.5


def test_energy_of_packages_that_wraps(tmp_path: Path) -> None:
    zone = "sys/class/powercap/intel-rapl:0"
    tree(
        tmp_path,
        {
            f"{zone}/name": "package-0\n",
            f"{zone}/energy_uj": "900000000\n",
            f"{zone}/max_energy_range_uj": "1000000000\n",
            "sys/class/powercap/intel-rapl:1/name": "psys\n",
            "sys/class/powercap/intel-rapl:1/energy_uj": "5\n",
            "sys/class/powercap/intel-rapl:0:0/name": "core\n",
            "sys/class/powercap/intel-rapl:0:0/energy_uj": "5\n",
        },
    )
    reader = HostReader(tmp_path)
    assert reader.joules() == 900
    tree(tmp_path, {f"{zone}/energy_uj": "100000000\n"})
    assert reader.joules() == pytest.approx(1100)
    tree(tmp_path, {f"{zone}/energy_uj": "100000001\n"})
    assert reader.joules() == pytest.approx(1100.000001)


def test_draw_of_a_board_by_its_inlet(tmp_path: Path) -> None:
    rails = {"name": "ina3221\n", "in1_label": "VDD_IN\n", "in1_input": "5000\n", "curr1_input": "1200\n",
             "in2_label": "VDD_CPU_GPU_CV\n", "in2_input": "5000\n", "curr2_input": "400\n"}  # fmt: skip
    tree(tmp_path / "a", {f"sys/class/hwmon/hwmon1/{name}": text for name, text in rails.items()})
    assert HostReader(tmp_path / "a").watts() == 6.0
    rails["in1_label"] = "VDD_GPU_SOC\n"
    tree(tmp_path / "b", {f"sys/class/hwmon/hwmon1/{name}": text for name, text in rails.items()})
    assert HostReader(tmp_path / "b").watts() == 8.0
    tree(tmp_path / "c", {"sys/class/hwmon/h/name": "nvme\n", "sys/class/hwmon/h/power1_input": "7000000\n"})
    assert HostReader(tmp_path / "c").watts() is None


NAMES = (
    "proc/loadavg", "proc/stat", "proc/cpuinfo", "proc/self/cgroup", "proc/1/stat", "proc/1/task/1/children",
    "sys/fs/cgroup/cpu.stat", "sys/class/thermal/thermal_zone0/temp", "sys/class/hwmon/h/name",
    "sys/class/hwmon/h/in1_input", "sys/class/hwmon/h/curr1_input", "sys/class/hwmon/h/temp1_input",
    "sys/class/powercap/intel-rapl:0/name", "sys/class/powercap/intel-rapl:0/energy_uj",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj",
)  # fmt: skip

HOSTILE = st.binary(max_size=40) | st.sampled_from(
    [b"cpu  1 2 3", b"0::/../../../..", b"9" * 400, b"-1", b"nan", b"1e999", b"package-0", b"ina3221", b"0::\0/x",
     b"cpu " + b"8 " * 20, b"1 (a) b", b"\xff\xfe", b"nr_throttled 99999999999999999999", "\u0661\u0662".encode()]
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), HOSTILE))
def test_nothing_raises_whatever_is_there(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reader = HostReader(tree(Path(folder), dict(files)), pid=1)
        for _ in range(2):
            for name, value in reader.read().items():
                assert value is None or math.isfinite(value), name


def test_what_is_not_a_file_is_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "loop", "missing", ".", "a\0b"):
        assert text_of(tmp_path / name) == ""
    (tmp_path / "long").write_bytes(b"1" * (3 << 20))
    assert len(text_of(tmp_path / "long")) <= 1 << 20


@given(st.floats(-1e15, 1e15).map(lambda x: round(x, 3)))
def test_numbers_are_read_back(value: float) -> None:
    assert number(f" {value:.3f}\n") == pytest.approx(value)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux")
def test_this_machine_tells_something() -> None:
    told = HostReader().read()
    assert told["busy"] is not None and told["own"] is not None and told["own"] > 0
