// SPDX-License-Identifier: Apache-2.0

/** Longest step of the clock in seconds: after a stall the loop goes on where it was. */
const LONGEST_STEP = 0.25;

/** Calls back before each frame of the display while it runs, with the seconds that have passed. */
export class Clock {
  #tick; #request = 0; #last = 0;

  /** @param {(seconds: number) => void} tick */
  constructor(tick) {
    this.#tick = tick;
  }

  /** @param {boolean} wanted */
  run(wanted) {
    if (wanted === (this.#request !== 0)) return;
    if (wanted) {
      this.#last = performance.now();
      this.#request = requestAnimationFrame(this.#step);
    } else {
      cancelAnimationFrame(this.#request);
      this.#request = 0;
    }
  }

  #step = (now) => {
    this.#request = requestAnimationFrame(this.#step);
    const passed = Math.min(Math.max((now - this.#last) / 1000, 0), LONGEST_STEP);
    this.#last = Math.max(now, this.#last);
    this.#tick(passed);
  };
}
