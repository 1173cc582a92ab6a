// SPDX-License-Identifier: Apache-2.0

/** What a file says of itself. */
export interface About {
  alt?: string;
  credit?: string;
  note?: string;
  synthetic?: boolean;
  [name: string]: unknown;
}

/** Detail of the event "ready"; still is "" where the scene moves. */
export interface ReadyDetail { about: About; still: string; }

/** Detail of the event "error". */
export interface ErrorDetail { what: string; why: string; fix: string; }

export class LivingPhoto extends HTMLElement {
  src: string;
  alt: string;
  paused: boolean;
  /** 1 is the speed of the file. */
  speed: number;
  /** Seconds in the loop. */
  time: number;
  readonly duration: number;
  readonly about: About;
  readonly playing: boolean;
  /** Why the photo or the poster is shown; "" otherwise. */
  readonly still: string;
  play(): void;
  pause(): void;
  /** Play the bytes of a file. */
  load(bytes: ArrayBuffer | Uint8Array): Promise<void>;
  /** One frame at the scene's own size; t in frames. */
  frame(t: number): Promise<ImageData>;
}

declare global {
  interface HTMLElementTagNameMap { "living-photo": LivingPhoto; }
}
