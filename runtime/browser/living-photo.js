// SPDX-License-Identifier: Apache-2.0
// <living-photo src="photo.sflow">: a baked scene that plays in a page. README.md tells how it is used.

import { Clock } from "./clock.js";
import { SflowError } from "./errors.js";
import { openPlayer } from "./player.js";
import { fetchScene, readScene } from "./sflow.js";
import { Stage } from "./stage.js";

const CALM = "(prefers-reduced-motion: reduce)";
const BEFORE_IT_IS_SEEN = "200px"; // the GPU is asked for when the element comes that near

export class LivingPhoto extends HTMLElement {
  static observedAttributes = ["src", "alt", "paused"];

  #stage = new Stage(this);
  #clock = new Clock((seconds) => this.#advance(seconds));
  #seen = new IntersectionObserver((entries) => this.#see(entries.at(-1).isIntersecting), { rootMargin: BEFORE_IT_IS_SEEN });
  #sized = new ResizeObserver(() => this.#redraw());
  #calm = matchMedia(CALM);
  #scene = null;
  #player = null;
  #opening = null; // promise of one that is being opened
  #loading = null; // AbortController of what is being loaded
  #near = false;
  #lost = false; // the GPU was taken away
  #failed = ""; // why this browser cannot move it
  #time = 0;

  connectedCallback() {
    this.#seen.observe(this);
    this.#sized.observe(this);
    this.#calm.addEventListener("change", this.#settle);
    document.addEventListener("visibilitychange", this.#settle);
    if (!this.#scene && !this.#loading && this.src) this.#fetch();
    this.#settle();
  }

  disconnectedCallback() {
    this.#seen.disconnect();
    this.#sized.disconnect();
    this.#calm.removeEventListener("change", this.#settle);
    document.removeEventListener("visibilitychange", this.#settle);
    this.#near = false;
    if (!this.#scene && this.src) this.#abandon(); // fetched anew when it comes back
    this.#settle();
  }

  attributeChangedCallback(name, before, now) {
    if (name === "alt") this.#describe();
    else if (name === "paused") this.#settle();
    else if (this.isConnected && before !== now) this.#fetch();
  }

  get src() { return this.getAttribute("src") ?? ""; }
  set src(url) { this.setAttribute("src", url); }

  get alt() { return this.getAttribute("alt") ?? ""; }
  set alt(text) { this.setAttribute("alt", text); }

  /** Whether it was told to stand still. */
  get paused() { return this.hasAttribute("paused"); }
  set paused(wanted) { this.toggleAttribute("paused", Boolean(wanted)); }

  /** How fast time passes; 1 without the attribute. Negative: backwards. */
  get speed() {
    const given = Number.parseFloat(this.getAttribute("speed"));
    return Number.isFinite(given) ? given : 1;
  }
  set speed(factor) { this.setAttribute("speed", String(factor)); }

  /** Seconds in the loop, 0 to duration. */
  get time() { return this.#time; }
  set time(seconds) {
    this.#turn(Number(seconds));
    this.#redraw();
  }

  /** Seconds of one loop; 0 without a scene. */
  get duration() { return this.#scene ? this.#scene.frames / this.#scene.fps : 0; }

  /** What the file says of itself: alt, credit, note, generator... */
  get about() { return this.#scene?.about ?? {}; }

  /** Whether frames are being drawn. */
  get playing() { return this.#player !== null && this.#moves(); }

  /** Why it shows the photo or the poster, as long as it does; "" where it plays, is paused, or is not in the window. */
  get still() {
    if (!this.#scene) return "there is no scene";
    if (this.#failed) return this.#failed;
    if (this.#calm.matches) return "motion is not wished: prefers-reduced-motion";
    return this.#lost ? "the GPU was taken away" : "";
  }

  play() { this.paused = false; }
  pause() { this.paused = true; }

  /**
   * Play a scene whose bytes are here already.
   * @param {ArrayBuffer|Uint8Array} bytes of a .sflow file.
   * @returns {Promise<void>} when it is shown; errors are told by the event.
   */
  load(bytes) {
    const own = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
    return this.#load(async () => own);
  }

  /**
   * One frame at the scene's own size.
   * @param {number} t in frames, any number; the loop has the period of its frames.
   * @returns {Promise<ImageData>}
   */
  async frame(t) {
    const scene = this.#scene;
    const cannot = (why) => new SflowError("cannot draw a frame", why, "wait for the event ready, in a browser with WebGL 2");
    if (!scene) throw cannot("there is no scene");
    const own = this.#player?.lost ? null : this.#player;
    let player = own;
    try {
      player ??= await openPlayer(document.createElement("canvas"), scene);
      return new ImageData(player.read(t), scene.width, scene.height);
    } catch (error) {
      throw error instanceof SflowError ? error : cannot(error.message);
    } finally {
      if (player !== own) player?.close();
    }
  }

  #fetch() {
    const url = this.src;
    if (url) return this.#load((signal) => fetchScene(new URL(url, document.baseURI).href, signal));
    this.#abandon();
  }

  #abandon() {
    this.#loading?.abort();
    this.#loading = this.#scene = null;
    this.#stop();
    this.#stage.clear();
    this.#describe();
  }

  async #load(bytes) {
    this.#loading?.abort();
    const loading = this.#loading = new AbortController();
    try {
      const scene = await readScene(await bytes(loading.signal)), photo = await scene.picture("photo");
      if (loading.signal.aborted) return;
      this.#stop();
      this.#loading = null;
      this.#scene = scene;
      this.#time = 0;
      this.#failed = "";
      this.#stage.showPhoto(scene, photo);
      this.#describe();
      this.#settle();
      await this.#opening;
      if (this.#scene !== scene) return;
      this.dispatchEvent(new CustomEvent("ready", { detail: { about: scene.about, still: this.still } }));
    } catch (error) {
      if (loading.signal.aborted) return;
      this.#abandon();
      const { what, why, fix } = error instanceof SflowError ? error
        : new SflowError("cannot play the scene", error.message, "load it again");
      this.dispatchEvent(new CustomEvent("error", { detail: { what, why, fix } }));
    }
  }

  #describe() {
    const { alt } = this.about;
    this.#stage.describe(this.alt || (typeof alt === "string" ? alt : ""));
  }

  #see(near) {
    this.#near = near;
    if (!near) this.#lost = false; // one more try when it is seen anew
    this.#settle();
  }

  #moves() {
    return this.#near && !this.paused && !document.hidden && !this.#calm.matches;
  }

  // Bring what plays in line with what is wished, and possible. The GPU is held only near the window.
  #settle = () => {
    const wanted = this.#scene && this.#near && !this.#calm.matches && !this.#failed && !this.#lost;
    if (!wanted) this.#stop();
    else if (!this.#player && !this.#opening) this.#opening = this.#open(this.#scene);
    this.#clock.run(this.playing);
  };

  async #open(scene) {
    const canvas = this.#stage.newFrame();
    let player = null;
    try {
      player = await openPlayer(canvas, scene);
    } catch (error) {
      if (this.#scene === scene && canvas.isConnected) {
        this.#lost = Boolean(error.taken);
        if (!error.taken) this.#failed = `it cannot move here: ${error.message}`;
      }
    }
    this.#opening = null;
    if (player && this.#scene === scene && canvas.isConnected) {
      canvas.addEventListener("webglcontextlost", (event) => this.#lose(event, player, canvas));
      this.#player = player;
      this.#redraw();
    } else {
      canvas.remove();
      player?.close();
    }
    this.#settle();
  }

  // Another page needed the GPU, or it was reset. The photo is there; it plays again where the browser gives it back.
  #lose(event, player, canvas) {
    if (this.#player !== player) return;
    event.preventDefault();
    canvas.addEventListener("webglcontextrestored", () => {
      player.close();
      this.#lost = false;
      this.#settle();
    }, { once: true });
    this.#lost = true;
    this.#player = null;
    this.#settle();
  }

  #stop() {
    this.#clock.run(false);
    this.#stage.removeFrame();
    this.#player?.close();
    this.#player = null;
  }

  #turn(seconds) {
    const { duration } = this;
    this.#time = duration && Number.isFinite(seconds) ? seconds - duration * Math.floor(seconds / duration) : 0;
  }

  #advance(seconds) {
    this.#turn(this.#time + seconds * this.speed);
    this.#redraw();
  }

  #redraw() {
    if (!this.#player) return;
    this.#player.show(this.#time * this.#scene.fps, ...this.#stage.pixels(this.#scene));
    this.#stage.revealFrame();
  }
}

if (!customElements.get("living-photo")) customElements.define("living-photo", LivingPhoto);
