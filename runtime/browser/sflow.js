// SPDX-License-Identifier: Apache-2.0
// A baked scene (docs/sflow.md) is read as if somebody wanted to break the reader: sizes are checked before memory is
// taken, and hashes before anything is decoded.

import { SflowError, damaged } from "./errors.js";
import { ENCODING, HEADER_BYTES, KIND, checkStart, isKnown, nameOf, parseHead, withoutHash } from "./layout.js";
import { bytesOf, numbers } from "./packed.js";
import { decodePicture } from "./pictures.js";
import { hashFits } from "./sha256.js";

const MOST_PERIODS = 1e6;
/** Of numbers, either way; 1e5 of all others. */
const LARGEST = new Map([[KIND.inside, 1e3], [KIND.light, 8]]);

async function headOf(bytes, tableEnd) {
  const head = bytes.subarray(0, tableEnd);
  if (!(await hashFits(withoutHash(head), head.subarray(64, 96)))) {
    throw damaged("the hash of its header does not fit: it is damaged");
  }
  return parseHead(head);
}

/**
 * Fetch a scene. Nothing is kept of an answer that is no scene, and no more is taken than its header says.
 * @param {string} url @param {AbortSignal} [signal]
 * @returns {Promise<Uint8Array>} the bytes of the file.
 */
export async function fetchScene(url, signal) {
  const lost = (why) => new SflowError(`cannot fetch ${url}`, why, "check the address, and that the server allows this page to read it");
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw lost("the server gave no answer");
  }
  if (!response.ok || !response.body) throw lost(`the server answered ${response.status}`);
  const reader = response.body.getReader();
  let bytes = new Uint8Array(16384), filled = 0, start = null, head = null;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (let taken = 0; taken < value.length;) {
      if (filled === bytes.length) {
        await reader.cancel();
        throw damaged(`it has more bytes than its header says: ${start.size}`);
      }
      const piece = value.subarray(taken, taken + bytes.length - filled);
      bytes.set(piece, filled);
      filled += piece.length;
      taken += piece.length;
      if (!start && filled >= HEADER_BYTES) start = checkStart(bytes.subarray(0, HEADER_BYTES));
      if (!head && start && filled >= start.tableEnd) {
        head = await headOf(bytes, start.tableEnd);
        const whole = new Uint8Array(head.size);
        if (filled > head.size) throw damaged(`it has more bytes than its header says: ${head.size}`);
        whole.set(bytes.subarray(0, filled));
        bytes = whole;
      }
    }
  }
  if (!start) checkStart(bytes.subarray(0, filled));
  if (filled !== start.size) throw damaged(`it has ${filled} bytes, and its header says ${start.size}`);
  return bytes;
}

/**
 * Read a scene that lies in memory.
 * @param {Uint8Array} bytes of the file.
 * @returns {Promise<Scene>}
 */
export async function readScene(bytes) {
  const { size, tableEnd } = checkStart(bytes.subarray(0, HEADER_BYTES));
  if (size !== bytes.length) throw damaged(`it has ${bytes.length} bytes, and its header says ${size}`);
  const head = await headOf(bytes, tableEnd), pieces = new Map();
  let end = tableEnd;
  for (const section of head.sections) {
    const piece = bytes.subarray(section.offset, section.offset + section.size);
    if (bytes.subarray(end, section.offset).some((byte) => byte !== 0)) {
      throw damaged("there is something between its sections");
    }
    if (isKnown(section.kind)) {
      if (!(await hashFits(piece, section.sha256))) {
        throw damaged(`the hash of its section ${nameOf(section.kind)} does not fit`);
      }
      pieces.set(section.kind, { section, piece });
    }
    end = section.offset + section.size;
  }
  const scene = new Scene(head, pieces);
  await scene.decode();
  return scene;
}

/** What a frame is made of. Pictures are decoded when they are asked for; fields are here, as whole numbers of a step. */
class Scene {
  #pieces;

  constructor(head, pieces) {
    this.#pieces = pieces;
    ({ width: this.width, height: this.height, frames: this.frames, fps: this.fps } = head);
    this.fieldWidth = pieces.get(KIND.flow).section.columns;
    this.fieldHeight = pieces.get(KIND.flow).section.rows;
    this.hasPlate = pieces.has(KIND.plate);
  }

  async decode() {
    this.velocity = await this.#numbers(KIND.velocity, 2);
    this.inside = await this.#numbers(KIND.inside, 1);
    this.sway = await this.#numbers(KIND.sway, 4);
    this.light = await this.#numbers(KIND.light, 2);
    this.blend = await this.#numbers(KIND.blend, 2);
    this.flow = await this.#bytes(KIND.flow);
    this.cycles = await this.#bytes(KIND.cycles);
    if (this.cycles.includes(0)) throw damaged("its cycles hold a 0");
    this.mostCycles = this.cycles.reduce((most, one) => Math.max(most, one), 1);
    this.layers = new Set(this.flow.filter((layer) => layer !== 0)).size;
    this.swayPeriods = this.#periods(KIND.swayPeriods);
    this.lightPeriods = this.#periods(KIND.lightPeriods);
    this.about = this.#about();
  }

  /** @returns {Promise<ImageBitmap|Uint8Array>} interleaved bytes where the picture is raw. */
  picture(name) {
    return this.#decoded(KIND[name], (piece, section) => decodePicture(piece, section));
  }

  /** Which channel of a picture is the matte: the green of a WebP, which knows no gray. */
  get matteChannel() {
    return this.#pieces.get(KIND.matte).section.encoding === ENCODING.webp ? 1 : 0;
  }

  async #decoded(kind, how) {
    const { section, piece } = this.#pieces.get(kind);
    try {
      return await how(piece, section);
    } catch (error) {
      const said = error instanceof TypeError ? "its compressed bytes are damaged" : error.message;
      throw damaged(`its ${nameOf(kind)} cannot be decoded: ${said}`);
    }
  }

  /** {values: Int16Array (harmonics, h, w, together), step: number}; null where the section is not there. */
  async #numbers(kind, together) {
    if (!this.#pieces.has(kind)) return null;
    const values = await this.#decoded(kind, (piece, section) =>
      numbers(piece, section, section.encoding === ENCODING.packedNumbers, together));
    const step = 2 ** this.#pieces.get(kind).section.exponent;
    let largest = 0;
    for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i])); // for...of is slow on 2.6 million
    if (largest * step > (LARGEST.get(kind) ?? 1e5)) throw damaged(`its ${nameOf(kind)} holds values that make no sense`);
    return { values, step };
  }

  #bytes(kind) {
    return this.#decoded(kind, (piece, section) =>
      bytesOf(piece, section, section.encoding === ENCODING.packedBytes));
  }

  #periods(kind) {
    if (!this.#pieces.has(kind)) return [];
    const { section, piece } = this.#pieces.get(kind), view = new DataView(piece.buffer, piece.byteOffset);
    const found = Array.from({ length: section.columns }, (_, i) => view.getUint32(4 * i, true));
    if (found.some((period) => period < 1 || period > MOST_PERIODS)) {
      throw damaged(`its ${nameOf(kind)} are not from 1 to ${MOST_PERIODS}`);
    }
    return found;
  }

  #about() {
    if (!this.#pieces.has(KIND.about)) return {};
    let said;
    try {
      said = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(this.#pieces.get(KIND.about).piece));
    } catch {
      throw damaged("what it says of itself is not JSON");
    }
    if (typeof said !== "object" || said === null || Array.isArray(said)) {
      throw damaged("what it says of itself is not a JSON object");
    }
    return said;
  }
}
