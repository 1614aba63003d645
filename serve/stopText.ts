import { overlap } from "../toolkit/generate/generate.ts";

/** Finds the end of a completion in text that comes in pieces. Holds back what could be the start of a stop text, so
 *  that no part of a stop text is ever sent. */
export class StopText {
  private readonly stops: readonly string[];
  private held = "";

  constructor(stops: readonly string[]) {
    this.stops = stops;
  }

  /** @returns the text that may be sent now, and whether a stop text was met */
  push(piece: string): { text: string; isStopped: boolean } {
    if (this.stops.length === 0) return { text: piece, isStopped: false };
    this.held += piece;
    const found = this.stops.map((stop) => this.held.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      const text = this.held.slice(0, Math.min(...found));
      this.held = "";
      return { text, isStopped: true };
    }
    const keep = Math.max(...this.stops.map((stop) => overlap(this.held, stop)));
    const text = this.held.slice(0, this.held.length - keep);
    this.held = this.held.slice(this.held.length - keep);
    return { text, isStopped: false };
  }

  /** @returns what was held back when the completion ends for another reason */
  end(): string {
    const text = this.held;
    this.held = "";
    return text;
  }
}
