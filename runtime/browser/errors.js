// SPDX-License-Identifier: Apache-2.0

/** What somebody can put right: what could not be done, why, and what to do about it. */
export class SflowError extends Error {
  constructor(what, why, fix) {
    super(`${what}: ${why}; fix: ${fix}`);
    this.name = "SflowError";
    this.what = what;
    this.why = why;
    this.fix = fix;
  }
}

/** The error about a file that is not what it should be. */
export function damaged(why) {
  return new SflowError("cannot play the scene", why,
    "copy or download it again, or bake the photo again: stillflow bake PHOTO -o photo.sflow --overwrite");
}
