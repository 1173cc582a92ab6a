# SPDX-License-Identifier: Apache-2.0
"""A new process that comes to its first frame and says when it had what: ``stillflow_bench.latency.targets.cold``.

``python -m stillflow_bench.latency.targets.cold_probe ORDER``, a JSON object: photo, bundle, engine, precision, device,
threads, width, height, moving, seconds, fps. It writes two lines of JSON: its readings as soon as the frame is in
memory, then the frame's digest. The clock is read before anything but ``time`` is imported.
"""

import time

STARTED = time.monotonic_ns()


def main() -> None:
    """Do what the order says."""
    import json
    import os
    import sys

    # Whatever a library prints goes elsewhere: standard output is for the two lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.loads(sys.argv[1])

    import stillflow.assess
    import stillflow.flow
    import stillflow.scenes
    from stillflow.sessions import cuda_index
    from stillflow_bench.latency.targets.moving import guidance_of
    from stillflow_bench.latency.targets.timed_animator import TimedAnimator

    if order["engine"] == "openvino":
        import stillflow.sessions.openvino  # noqa: F401 - its library, as that of onnxruntime above
    imported = time.monotonic_ns()

    names = ("bundle", "engine", "precision", "device", "threads")
    animator = TimedAnimator(**{name: order[name] for name in names})
    choice = animator.choice
    chosen = time.monotonic_ns()
    if choice.engine in ("tensorrt", "tensorrt_rtx"):
        from stillflow_bench.latency.targets.engine_build import find_or_build

        find_or_build(animator.bundle, choice, cuda_index(choice.device) or 0)
    built = time.monotonic_ns()
    for graph in choice.precisions:
        animator.session(graph)
    loaded = time.monotonic_ns()

    spans = animator.watch.start()
    guidance = guidance_of(order["width"], order["height"], order["moving"])
    loop = animator.animate(order["photo"], guidance, seconds=order["seconds"], fps=order["fps"])
    frame = loop.frame(0)
    done = time.monotonic_ns()
    called = spans.get("B2.call", 0)
    parts = {
        "import": imported - STARTED,
        "load": chosen - imported + loaded - built,
        "build-or-cache": built - chosen if choice.engine in ("tensorrt", "tensorrt_rtx") else 0,
        "first call": called,
        "first frame": done - loaded - called,
    }
    json.dump({"started": STARTED, "spans": parts, "ran": loop.runs}, out)
    out.write("\n")
    out.flush()

    from stillflow_bench.latency.inputs import short_digest

    share, middle = loop.moving_share, loop.frame(len(loop) // 2)
    json.dump({"digest": short_digest({"first": frame, "middle": middle}), "moving_share": share}, out)
    out.write("\n")
    out.flush()
    os._exit(0)  # nobody waits for what a process tidies up at its end


if __name__ == "__main__":
    main()
