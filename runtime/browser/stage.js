// SPDX-License-Identifier: Apache-2.0
// What is seen: the poster (children of the element) until the scene is there, then the photo, and over it the canvas
// that moves. The photo stays below, so that whatever happens to the GPU leaves the photo.

const STYLE = `
:host { display: inline-block; position: relative; max-width: 100%; overflow: hidden; vertical-align: bottom; object-fit: contain; }
:host([hidden]) { display: none; }
[part=stage], [part=photo], [part=frame], ::slotted(img) { display: block; width: 100%; height: 100%; }
[part=photo], [part=frame], [part=stage], ::slotted(img) { object-fit: inherit; object-position: inherit; }
[part=stage] { position: relative; }
[part=frame] { position: absolute; inset: 0; }
[part=credit] { position: absolute; right: 0; bottom: 0; max-width: 100%; box-sizing: border-box; padding: 0.2em 0.5em;
  font: 11px/1.4 system-ui, sans-serif; color: #fff; background: rgb(0 0 0 / 0.55); overflow-wrap: anywhere; }
[hidden] { display: none !important; }
`;

function element(name, part, hidden) {
  const made = document.createElement(name);
  made.part = part;
  made.hidden = hidden;
  return made;
}

export class Stage {
  #root; #box = element("div", "stage", false); #poster = document.createElement("slot");
  #photo = element("canvas", "photo", true); #credit = element("span", "credit", true);

  /** @param {HTMLElement} host */
  constructor(host) {
    this.#root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    this.#box.append(this.#poster, this.#photo);
    this.#root.append(this.#box, this.#credit);
  }

  /** Show the poster: there is no scene. */
  clear() {
    this.removeFrame();
    this.#photo.hidden = this.#credit.hidden = true;
    this.#photo.width = this.#photo.height = 1; // gives its memory back
    this.#poster.hidden = false;
    this.#box.title = "";
  }

  /**
   * Show the photo.
   * @param scene what readScene returned. @param {ImageBitmap|Uint8Array} picture its photo.
   */
  showPhoto(scene, picture) {
    [this.#photo.width, this.#photo.height] = [scene.width, scene.height];
    const context = this.#photo.getContext("2d", { alpha: false });
    if (picture instanceof Uint8Array) {
      const image = new ImageData(scene.width, scene.height);
      for (let from = 0, to = 0; from < picture.length; from += 3, to += 4) {
        image.data.set(picture.subarray(from, from + 3), to);
        image.data[to + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    } else {
      context.drawImage(picture, 0, 0);
      picture.close();
    }
    this.#photo.hidden = false;
    this.#poster.hidden = true;
    // What a file says of itself is text, never markup.
    this.#credit.textContent = typeof scene.about.credit === "string" ? scene.about.credit : "";
    this.#credit.hidden = !this.#credit.textContent;
    this.#box.title = typeof scene.about.note === "string" ? scene.about.note : "";
  }

  /** Say to who does not see it what the picture shows. */
  describe(text) {
    if (text) {
      this.#box.setAttribute("role", "img");
      this.#box.setAttribute("aria-label", text);
    } else {
      this.#box.removeAttribute("role");
      this.#box.removeAttribute("aria-label");
    }
  }

  /** A new canvas over the photo, not seen before revealFrame: one that lost its GPU gives no other. */
  newFrame() {
    this.removeFrame();
    const canvas = element("canvas", "frame", true);
    this.#box.append(canvas);
    return canvas;
  }

  revealFrame() {
    const canvas = this.#root.querySelector("[part=frame]");
    if (canvas?.hidden) canvas.hidden = false;
  }

  removeFrame() {
    this.#root.querySelector("[part=frame]")?.remove();
  }

  /** Pixels of the display that the scene takes, at most its own. */
  pixels(scene) {
    const { clientWidth, clientHeight } = this.#box, ratio = globalThis.devicePixelRatio || 1;
    const scale = Math.min(Math.max(clientWidth / scene.width, clientHeight / scene.height) * ratio, 1);
    return [scene.width, scene.height].map((side) => Math.max(Math.round(side * scale), 1));
  }
}
