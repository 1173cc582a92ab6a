// SPDX-License-Identifier: Apache-2.0
// Pictures of a baked scene: looked at before the browser decodes them, and given to it without what might turn or tint
// them (orientation, profiles, gamma), so that every browser decodes the same bytes.

import { ENCODING } from "./layout.js";
import { inflated } from "./packed.js";

const TYPES = { [ENCODING.png]: "image/png", [ENCODING.jpeg]: "image/jpeg", [ENCODING.webp]: "image/webp" };
const EXACT = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

/**
 * Decode a section's picture.
 * @param {Uint8Array} data its bytes. @param section its line in the table.
 * @returns {Promise<ImageBitmap|Uint8Array>} raw bytes where it is raw.
 */
export async function decodePicture(data, section) {
  const { encoding, planes, rows, columns } = section;
  if (encoding === ENCODING.raw) return data;
  const parts = encoding === ENCODING.jpeg ? plainJpeg(data, rows, columns)
    : encoding === ENCODING.png ? await plainPng(data, planes, rows, columns) : webp(data, rows, columns);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob(parts, { type: TYPES[encoding] }), EXACT);
  } catch {
    throw new Error("its compressed picture is damaged");
  }
  if (bitmap.width !== columns || bitmap.height !== rows) {
    bitmap.close();
    throw new Error("its picture has another size");
  }
  return bitmap;
}

const be16 = (data, at) => (data[at] << 8) | data[at + 1];
const be32 = (data, at) => be16(data, at) * 65536 + be16(data, at + 2);
const le32 = (data, at) => be32(Uint8Array.of(data[at + 3], data[at + 2], data[at + 1], data[at]), 0);
const same = (data, at, bytes) => bytes.every((byte, i) => data[at + i] === byte);
const ascii = (text) => [...text].map((letter) => letter.charCodeAt(0));

const JFIF = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0);
const DHT = 0xc4, EOI = 0xd9, SOS = 0xda, COMMENT = 0xfe, TABLES = [DHT, SOS, 0xdb, 0xdd];
/** Sampling factors: gray, 4:4:4, 4:2:2, 4:2:0. */
const SAMPLINGS = ["17", "17,17,17", "33,17,17", "34,17,17"];

// ITU-T T.81, annex B. One frame, baseline or progressive, after a JFIF mark; segments beside tables, scans, APPn and
// comments could hide anything. APPn and comments are left out, and a JFIF mark says that three components are Y'CbCr.
function plainJpeg(data, rows, columns) {
  const bad = new Error("its JPEG is damaged or cut short");
  const parts = [JFIF];
  let frames = 0, at = 2;
  if (!same(data, 0, [0xff, 0xd8])) throw new Error("it is no JPEG");
  if (!same(data, 2, [0xff, 0xe0]) || be16(data, 4) < 16 || !same(data, 6, ascii("JFIF\0"))) {
    throw new Error("its JPEG does not begin with a JFIF mark");
  }
  for (;;) {
    while (data[at] === 0xff && data[at + 1] === 0xff) at++; // fill bytes
    if (at + 2 > data.length || data[at] !== 0xff) throw bad;
    const marker = data[at + 1];
    if (marker === EOI) {
      if (!frames) throw new Error("its JPEG has no frame");
      if (at + 2 !== data.length) throw new Error("its JPEG goes on after its end");
      return [...parts, data.subarray(at)];
    }
    const length = at + 4 <= data.length ? be16(data, at + 2) : 0, left = (marker & 0xf0) === 0xe0 || marker === COMMENT;
    let end = at + 2 + length;
    if (!(left || TABLES.includes(marker) || (marker & 0xf0) === 0xc0) || length < 2 || end > data.length) throw bad;
    if ((marker & 0xf0) === 0xc0 && marker !== DHT) {
      if ((marker !== 0xc0 && marker !== 0xc2) || frames++) throw new Error("its JPEG is neither baseline nor progressive");
      checkFrame(data.subarray(at + 4, end), rows, columns);
    }
    if (marker === SOS) end = scanEnd(data, end, bad);
    if (!left) parts.push(data.subarray(at, end));
    at = end;
  }
}

function checkFrame(header, rows, columns) {
  const factors = [];
  for (let at = 7; at < header.length; at += 3) factors.push(header[at]);
  if (header.length !== 6 + 3 * header[5] || !SAMPLINGS.includes(factors.join())) {
    throw new Error("its JPEG is neither gray nor Y'CbCr of 4:4:4, 4:2:2 or 4:2:0");
  }
  const width = be16(header, 3), height = be16(header, 1);
  if (header[0] !== 8 || width !== columns || height !== rows) {
    throw new Error(`its JPEG has ${header[0]} bits a sample and ${width}x${height} pixels`);
  }
}

// A scan's coded data end at a marker other than a stuffed zero and restarts.
function scanEnd(data, from, bad) {
  let at = from;
  while ((at = data.indexOf(0xff, at)) >= 0 && at + 1 < data.length) {
    const next = data[at + 1];
    if (next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
    at += next === 0xff ? 1 : 2;
  }
  throw bad;
}

const PNG_COLOURS = { 1: 0, 3: 2, 4: 6 }, PNG_KNOWN = ["IHDR", "PLTE", "IDAT", "IEND"];

const CRCS = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = (c & 1 ? 0xedb88320 : 0) ^ (c >>> 1);
  return c;
});

function crcOf(bytes) {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = CRCS[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

// 8 bits of the planes' colour type, not interlaced. Only IHDR, IDAT and IEND are kept: gamma and profiles would tint it.
async function plainPng(data, planes, rows, columns) {
  const start = [0x89, ...ascii("PNG\r\n\x1a\n"), 0, 0, 0, 13, ...ascii("IHDR")];
  if (data.length < 33 || !same(data, 0, start)) throw new Error("it is no PNG");
  const width = be32(data, 16), height = be32(data, 20);
  const plain = data[24] === 8 && data[25] === PNG_COLOURS[planes] && !data[26] && !data[27] && !data[28];
  if (!plain || width !== columns || height !== rows) {
    throw new Error(`its PNG has ${width}x${height} pixels, ${data[24]} bits, colour type ${data[25]}`);
  }
  const parts = [data.subarray(0, 8)], coded = [];
  let at = 8, name = "", runs = 0;
  while (name !== "IEND" && at + 12 <= data.length) {
    const end = at + 12 + be32(data, at), before = name;
    if (end > data.length || crcOf(data.subarray(at + 4, end - 4)) !== be32(data, end - 4)) {
      throw new Error("its PNG is damaged or cut short");
    }
    name = String.fromCharCode(...data.subarray(at + 4, at + 8));
    // A lower-case first letter says that a chunk may be passed over.
    if (!(data[at + 4] & 32) && !PNG_KNOWN.includes(name)) throw new Error("its PNG holds a chunk that nobody knows");
    if (name === "IDAT" && before !== "IDAT") runs++;
    if (name === "IDAT") coded.push(data.subarray(at + 8, end - 4));
    if (name === "IDAT" || name === "IEND" || at === 8) parts.push(data.subarray(at, end));
    at = end;
  }
  if (name !== "IEND" || at !== data.length || runs !== 1) throw new Error("its PNG is cut short, or goes on after its end");
  await inflated(new Blob(coded), rows * (1 + columns * planes));
  return parts;
}

// One VP8L chunk in a RIFF container, and nothing else.
function webp(data, rows, columns) {
  const known = same(data, 0, ascii("RIFF")) && same(data, 8, ascii("WEBPVP8L"));
  if (data.length < 25 || !known || data[20] !== 0x2f) throw new Error("it is no lossless WebP");
  const whole = le32(data, 4), chunk = le32(data, 16), bits = le32(data, 21);
  if (whole + 8 !== data.length || 12 + chunk + (chunk % 2) !== whole) {
    throw new Error("its WebP is cut short, or holds more than a picture");
  }
  const width = (bits & 0x3fff) + 1, height = ((bits >>> 14) & 0x3fff) + 1;
  if (width !== columns || height !== rows) throw new Error(`its WebP has ${width}x${height} pixels`);
  return [data];
}
