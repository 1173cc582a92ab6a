// SPDX-License-Identifier: Apache-2.0
// Header and table of a baked scene, byte by byte as docs/sflow.md has them. Every size is checked before it is used.

import { SflowError, damaged } from "./errors.js";

export const HEADER_BYTES = 128;
export const LINE_BYTES = 80;
export const MEMORY_LIMIT = 2 ** 30; // bytes, as in Python and in C

export const KIND = {
  photo: 1, matte: 2, plate: 3, velocity: 4, flow: 5, cycles: 6, inside: 7, sway: 8, swayPeriods: 9, light: 10,
  lightPeriods: 11, blend: 12, about: 0x8001,
};
export const ENCODING = { raw: 0, png: 1, jpeg: 2, webp: 3, numbers: 4, packedNumbers: 5, packedBytes: 6 };

const MAGIC = [0x89, 0x53, 0x46, 0x4c, 0x4f, 0x57, 0x0d, 0x0a];
const MOST_SECTIONS = 64, MOST_HARMONICS = 64, MOST_ABOUT = 65536, LONGEST_SIDE = 65535;
const MOST_PIXELS = 2 ** 27, MOST_FRAMES = 1e6, MAY_BE_SKIPPED = 0x8000;

const PICTURES = [0, 1, 3], NUMBERS = [4, 5], BYTES = [0, 6], PLAIN = [0];
/** Kind -> bytes of a decoded element, encodings, planes (where they are fixed), and whether it is at field size. */
const RULES = new Map([
  [KIND.photo, { name: "photo", element: 1, encodings: [0, 1, 2, 3], planes: 3 }],
  [KIND.matte, { name: "matte", element: 1, encodings: PICTURES, planes: 1 }],
  [KIND.plate, { name: "plate", element: 1, encodings: PICTURES, planes: 4 }],
  [KIND.velocity, { name: "velocity", element: 2, encodings: NUMBERS, planes: 2, field: true }],
  [KIND.flow, { name: "flow", element: 1, encodings: BYTES, planes: 1, field: true }],
  [KIND.cycles, { name: "cycles", element: 1, encodings: BYTES, planes: 1, field: true }],
  [KIND.inside, { name: "inside", element: 2, encodings: NUMBERS, planes: 1, field: true }],
  [KIND.sway, { name: "sway", element: 2, encodings: NUMBERS, field: true }],
  [KIND.swayPeriods, { name: "sway_periods", element: 4, encodings: PLAIN, most: MOST_HARMONICS }],
  [KIND.light, { name: "light", element: 2, encodings: NUMBERS, field: true }],
  [KIND.lightPeriods, { name: "light_periods", element: 4, encodings: PLAIN, most: MOST_HARMONICS }],
  [KIND.blend, { name: "blend", element: 2, encodings: NUMBERS, planes: 2, field: true }],
  [KIND.about, { name: "about", element: 1, encodings: PLAIN, most: MOST_ABOUT }],
]);
const NEEDED = [KIND.photo, KIND.matte, KIND.velocity, KIND.flow, KIND.cycles, KIND.inside];
/** Harmonics, their periods, and planes that one harmonic has. */
const TOGETHER = [[KIND.sway, KIND.swayPeriods, 4], [KIND.light, KIND.lightPeriods, 2]];

export const fieldSize = (pixels) => Math.ceil(pixels / 4);
export const isKnown = (kind) => RULES.has(kind);
export const nameOf = (kind) => RULES.get(kind)?.name ?? `0x${kind.toString(16)}`;

// A u64 as a number: what is beyond 2^53 is beyond every limit here, and stays so when it is rounded.
const u64 = (view, at) => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
const anything = (bytes) => bytes.some((byte) => byte !== 0);

/**
 * Check a file's first bytes as far as they stand alone.
 * @param {Uint8Array} start the first 128 bytes, or what there is of them.
 * @returns {{size: number, tableEnd: number}} bytes of the whole file, and where its table ends.
 */
export function checkStart(start) {
  if (MAGIC.some((byte, i) => start[i] !== byte)) {
    throw new SflowError("cannot play the scene", "it is not a baked scene, or was changed by a transfer as text",
      "make one: stillflow bake PHOTO -o photo.sflow");
  }
  if (start.length < HEADER_BYTES) throw damaged(`the file ends after ${start.length} bytes`);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const major = view.getUint16(8, true), count = view.getUint32(36, true), size = u64(view, 16);
  if (major !== 1) {
    throw new SflowError("cannot play the scene", `its version is ${major}, and this player reads version 1`,
      "use the player that came with it, or bake the photo again with this one's stillflow");
  }
  const reserved = anything(start.subarray(52, 64)) || anything(start.subarray(96, HEADER_BYTES));
  if (view.getUint32(12, true) !== HEADER_BYTES || reserved || count < 1 || count > MOST_SECTIONS) {
    throw damaged("its header is damaged");
  }
  const tableEnd = HEADER_BYTES + count * LINE_BYTES;
  if (tableEnd > size) throw damaged("it ends within its table");
  if (size > MEMORY_LIMIT) throw damaged(`it says that it has ${size} bytes`);
  return { size, tableEnd };
}

/** Header and table with the bytes of the hash as 0: what is hashed. */
export function withoutHash(head) {
  const plain = head.slice();
  plain.fill(0, 64, 96);
  return plain;
}

/**
 * Read header and table, whose hash fits.
 * @param {Uint8Array} data exactly both, which checkStart let through.
 * @returns what the file says of itself: size, width, height, frames, fps, and sections by kind.
 */
export function parseHead(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const head = {
    size: u64(view, 16), width: view.getUint32(24, true), height: view.getUint32(28, true),
    frames: view.getUint32(32, true), fps: view.getFloat64(40, true), sections: [],
  };
  const { width, height, frames, fps } = head, rule = view.getUint32(48, true);
  const sides = width >= 1 && width <= LONGEST_SIDE && height >= 1 && height <= LONGEST_SIDE;
  if (!sides || width * height > MOST_PIXELS) throw damaged(`a picture of ${width}x${height} pixels is beyond the limits`);
  if (frames < 1 || frames > MOST_FRAMES || !(fps > 0 && fps <= 240)) {
    throw damaged(`a loop of ${frames} frames at ${fps} a second is beyond the limits`);
  }
  if (rule !== 1) {
    throw new SflowError("cannot play the scene", `its loop rule is ${rule}, and this player plays rule 1`,
      "use a newer player");
  }
  for (let at = HEADER_BYTES; at < data.length; at += LINE_BYTES) head.sections.push(line(view, data, at));
  checkPlaces(head, data.length);
  checkSections(head);
  checkMemory(head);
  return head;
}

function line(view, data, at) {
  const u32 = (offset) => view.getUint32(at + offset, true);
  return {
    kind: u32(0), encoding: u32(4), offset: u64(view, at + 8), size: u64(view, at + 16), decoded: u64(view, at + 24),
    exponent: view.getInt32(at + 32, true), planes: u32(36), rows: u32(40), columns: u32(44),
    sha256: data.slice(at + 48, at + LINE_BYTES),
  };
}

// Sections lie one after the other, and the file ends with the last.
function checkPlaces(head, tableEnd) {
  let end = tableEnd;
  for (const section of head.sections) {
    const gap = section.offset - end;
    if (section.offset % 64 || gap < 0 || gap >= 64 || section.size > head.size) {
      throw damaged(`its section ${nameOf(section.kind)} does not lie where one may`);
    }
    end = section.offset + section.size;
  }
  if (end !== head.size) throw damaged(`its sections end at byte ${end} of ${head.size}`);
}

// Every section is known or may be skipped, is there once, and is as large as its kind says.
function checkSections(head) {
  const there = new Map(head.sections.map((section) => [section.kind, section]));
  if (there.size < head.sections.length) throw damaged("a section is there twice");
  for (const section of head.sections) {
    if (isKnown(section.kind)) checkSection(head, section, RULES.get(section.kind));
    else if (section.kind < MAY_BE_SKIPPED) {
      throw new SflowError("cannot play the scene",
        `it holds a section ${nameOf(section.kind)} that this player does not know`, "use a newer player");
    }
  }
  for (const kind of NEEDED) if (!there.has(kind)) throw damaged(`it holds no ${nameOf(kind)}`);
  for (const [harmonics, periods, planes] of TOGETHER) {
    if (there.has(harmonics) !== there.has(periods)) {
      throw damaged(`of ${nameOf(harmonics)} and its periods only one is there`);
    }
    if (there.has(harmonics) && there.get(harmonics).planes !== planes * there.get(periods).columns) {
      throw damaged(`${nameOf(harmonics)} and its periods differ in number`);
    }
  }
}

function checkSection(head, section, rule) {
  const { planes, rows, columns } = section, said = `its section ${rule.name}`;
  const listed = rule.most !== undefined; // periods, about: a row of some numbers
  const expected = listed ? [1, 1] : rule.field ? [fieldSize(head.height), fieldSize(head.width)] : [head.height, head.width];
  const fits = listed ? rows === 1 && columns >= 1 && columns <= rule.most && planes === 1
    : rows === expected[0] && columns === expected[1] && (rule.planes === undefined || planes === rule.planes);
  if (!fits) throw damaged(`${said} has a size of ${planes} x ${rows} x ${columns}`);
  if (section.decoded !== planes * rows * columns * rule.element) {
    throw damaged(`${said} says ${section.decoded} bytes, which is not what its size says`);
  }
  if (!rule.encodings.includes(section.encoding)) {
    throw damaged(`${said} has the encoding ${section.encoding}, which is not one of its kind's`);
  }
  const plain = section.encoding === ENCODING.raw || section.encoding === ENCODING.numbers;
  if (section.size < 1 || (plain && section.size !== section.decoded)) throw damaged(`${said} has ${section.size} bytes`);
  if (Math.abs(section.exponent) > 60 || (rule.element !== 2 && section.exponent)) {
    throw damaged(`${said} has the exponent ${section.exponent}`);
  }
}

// The formula of Python's reader: pictures and what decoding them takes, numbers and the planes of a frame.
function checkMemory(head) {
  const field = fieldSize(head.height) * fieldSize(head.width);
  let planes = 0;
  for (const { kind, planes: own } of head.sections) if (kind >= KIND.velocity && kind < MAY_BE_SKIPPED) planes += own;
  const needed = 2 * head.size + 16 * head.width * head.height + field * (12 * planes + 60);
  if (needed > MEMORY_LIMIT) {
    throw new SflowError("cannot play the scene",
      `its ${head.width}x${head.height} scene takes ${Math.round(needed / 1e6)} MB of memory, and the limit is 1074 MB`,
      "bake it smaller: stillflow bake PHOTO --size 1920");
  }
}
