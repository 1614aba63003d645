import { sampleToken } from "../../toolkit/generate/sampler.ts";
import type { DecodeModel } from "../../serve/decodeLoop.ts";

export const fakeLayers = 2;
export const fakeExperts = 4;
/** The token after the 256 bytes. */
export const fakeEndOfText = 256;

export interface FakeSettings {
  readonly contextLength?: number;
  readonly endOfText?: number | undefined;
  /** "z" is followed by "a" instead of the end of the text. */
  readonly isEndless?: boolean;
  /** Called before each feed; may throw or record. */
  readonly onFeed?: (ids: Int32Array, session: number) => void;
}

/** A model of a few lines whose answers are known without running it: a token is a byte, the next token is always the
 *  byte after it ("a" → "bcd…"), "z" is followed by the end of the text, and token t goes to experts t % 4 and
 *  (t + 1) % 4 in layer 0 and to (t + 2) % 4 and (t + 3) % 4 in layer 1. */
export function fakeModel(settings: FakeSettings = {}): DecodeModel & { readonly openSessions: () => number } {
  const { contextLength = 64, isEndless = false, onFeed } = settings;
  const afterZ = isEndless ? "a".charCodeAt(0) : fakeEndOfText;
  const endOfText = "endOfText" in settings ? settings.endOfText : fakeEndOfText;
  let opened = 0;
  let open = 0;
  return {
    contextLength, endOfText,
    openSessions: () => open,
    openSession() {
      const session = opened++;
      open += 1;
      let position = 0;
      const expertCounts = Array.from({ length: fakeLayers }, () => new Float64Array(fakeExperts));
      const lastExpertIds = Array.from({ length: fakeLayers }, () => new Int32Array(2));
      return {
        get position() { return position; },
        expertCounts, lastExpertIds,
        feed(ids) {
          onFeed?.(ids, session);
          for (const id of ids) {
            for (let layer = 0; layer < fakeLayers; layer++) {
              for (let k = 0; k < 2; k++) {
                const expert = (id + 2 * layer + k) % fakeExperts;
                expertCounts[layer][expert] += 1;
                lastExpertIds[layer][k] = expert;
              }
            }
          }
          position += ids.length;
          const logits = new Float32Array(257);
          const last = ids.at(-1)!;
          logits[last === "z".charCodeAt(0) ? afterZ : last === fakeEndOfText ? "a".charCodeAt(0) : (last + 1) % 256] = 100;
          return logits;
        },
        dispose() { open -= 1; },
      };
    },
    encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
    decodeStream() {
      const decoder = new TextDecoder();
      return { push: (id) => decoder.decode(Uint8Array.of(id), { stream: true }), end: () => decoder.decode() };
    },
    sample: sampleToken,
    random: (seed) => () => seed % 1,
  };
}
