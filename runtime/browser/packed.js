// SPDX-License-Identifier: Apache-2.0
// Packed numbers and packed bytes of a baked scene (docs/sflow.md).

/**
 * Decompress a zlib stream whose size is known.
 * @param {Blob} data @param {number} size
 * @returns {Promise<Uint8Array>} exactly size bytes; throws where the stream is damaged or holds more or less.
 */
export async function inflated(data, size) {
  const out = new Uint8Array(size);
  const reader = data.stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length > size) {
      await reader.cancel();
      throw new Error("its compressed bytes hold more than its size says");
    }
    out.set(value, at);
    at += value.length;
  }
  if (at !== size) throw new Error("its compressed bytes hold less than its size says");
  return out;
}

/**
 * Numbers of 16 bits.
 * @param section its line in the table: planes, rows, columns.
 * @param {boolean} packed encoding 5, else 4.
 * @param {number} together planes that lie side by side in what is returned: those of one texel.
 * @returns {Promise<Int16Array>} (planes / together, rows, columns, together).
 */
export async function numbers(data, section, packed, together) {
  const { planes, rows, columns } = section, count = rows * columns;
  const bytes = packed ? await inflated(new Blob([data]), planes * count * 2) : data;
  const out = new Int16Array(planes * count);
  for (let plane = 0; plane < planes; plane++) {
    const first = Math.floor(plane / together) * count * together + plane % together;
    const low = plane * count * 2, step = packed ? 1 : 2, high = packed ? low + count : low + 1;
    for (let y = 0, i = 0; y < rows; y++) {
      for (let x = 0, sum = 0; x < columns; x++, i++) {
        const u = bytes[low + i * step] | (bytes[high + i * step] << 8), to = first + i * together;
        if (!packed) {
          out[to] = u;
        } else {
          // 2 r and -2 r - 1; sums wrap around at 16 bits as they are stored.
          sum += (u >> 1) ^ -(u & 1);
          out[to] = y ? out[to - columns * together] + sum : sum;
        }
      }
    }
  }
  return out;
}

/** Bytes of one plane; see numbers. */
export async function bytesOf(data, section, packed) {
  if (!packed) return data;
  const { rows, columns } = section, out = await inflated(new Blob([data]), rows * columns);
  for (let y = 0, i = 0; y < rows; y++) {
    for (let x = 0, sum = 0; x < columns; x++, i++) {
      sum += out[i];
      out[i] = y ? out[i - columns] + sum : sum;
    }
  }
  return out;
}
