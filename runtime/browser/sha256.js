// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4). Browsers bring it, but only for pages from https, localhost or a file; elsewhere it is done here.

/** First 32 bits of the fractional parts of the square (2) or cube (3) roots of the first primes. */
function rootBits(count, power) {
  const found = [];
  for (let n = 2; found.length < count; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (prime) {
      const root = power === 2 ? Math.sqrt(n) : Math.cbrt(n);
      found.push(Math.floor((root - Math.floor(root)) * 2 ** 32));
    }
  }
  return found;
}

const START = rootBits(8, 2), ROUND = Uint32Array.from(rootBits(64, 3));
const turned = (x, n) => (x >>> n) | (x << (32 - n));

/** @param {Uint8Array} bytes @returns {Uint8Array} the 32 bytes of their hash. */
export function sha256Here(bytes) {
  const whole = new Uint8Array((Math.floor((bytes.length + 8) / 64) + 1) * 64);
  whole.set(bytes);
  whole[bytes.length] = 0x80;
  const view = new DataView(whole.buffer), state = Uint32Array.from(START), w = new Uint32Array(64);
  view.setUint32(whole.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(whole.length - 4, bytes.length * 8);
  for (let at = 0; at < whole.length; at += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const low = turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const high = turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + low + w[i - 7] + high;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const one = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25), chosen = (e & f) ^ (~e & g);
      const first = (h + one + chosen + ROUND[i] + w[i]) | 0;
      const two = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22), most = (a & b) ^ (a & c) ^ (b & c);
      h = g; g = f; f = e; e = (d + first) | 0;
      d = c; c = b; b = a; a = (first + two + most) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] += value; });
  }
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((value, i) => out.setUint32(4 * i, value));
  return new Uint8Array(out.buffer);
}

/** @param {Uint8Array} bytes @param {Uint8Array} expected @returns {Promise<boolean>} whether their hash is that. */
export async function hashFits(bytes, expected) {
  const subtle = globalThis.crypto?.subtle;
  const found = subtle ? new Uint8Array(await subtle.digest("SHA-256", bytes)) : sha256Here(bytes);
  return found.every((byte, i) => byte === expected[i]);
}
