import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MalformedMessageError } from "../../kernel/errors.ts";
import { ReplayGuard } from "../../kernel/protocol/replayGuard.ts";
import { Wire } from "../../kernel/protocol/wire.ts";

const KEY = "the key of this test";
const DELIMITER = "<IDS|MSG>";
const HEADER = { msg_id: "1", msg_type: "execute_request", session: "s", username: "u", date: "2026-11-23T00:00:00Z", version: "5.4" };

/** The digest as the protocol's text has it, by hand: HMAC over the four parts. */
function signature(parts: readonly (Buffer | string)[], key = KEY): string {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}

function message(parts: readonly (Buffer | string)[], { identities = ["id"], buffers = [] }: { identities?: string[]; buffers?: Buffer[] } = {}): Buffer[] {
  return [...identities, DELIMITER, signature(parts), ...parts, ...buffers].map((frame) => Buffer.from(frame));
}

const parts = (header: unknown = HEADER, content: unknown = { code: "1" }): string[] => [header, {}, {}, content].map((part) => JSON.stringify(part));
const wire = (): Wire => new Wire(KEY, "sha256", "me");
const codeOf = (frames: Buffer[], subject: Wire = wire()): string => {
  try {
    subject.decode(frames);
    return "accepted";
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error;
    return error.code;
  }
};

describe("a message from the wire", () => {
  test("is taken when its signature is the HMAC of its four parts", () => {
    const frames = message(parts(), { identities: ["a", "b"], buffers: [Buffer.from([1, 2]), Buffer.alloc(0)] });
    const decoded = wire().decode(frames);
    expect(decoded.header).toEqual(HEADER);
    expect(decoded.content).toEqual({ code: "1" });
    expect(decoded.identities.map(String)).toEqual(["a", "b"]);
    expect(decoded.buffers.map((buffer) => [...buffer])).toEqual([[1, 2], []]);
    expect(decoded.byteLength).toBe(frames.reduce((sum, frame) => sum + frame.length, 0));
  });

  test.each([
    ["another key", "E_WIRE_SIGNATURE", [DELIMITER, signature(parts(), "other"), ...parts()]],
    ["an empty signature", "E_WIRE_SIGNATURE", [DELIMITER, "", ...parts()]],
    ["a signature in capitals", "E_WIRE_SIGNATURE", [DELIMITER, signature(parts()).toUpperCase(), ...parts()]],
    ["its parts in another order", "E_WIRE_SIGNATURE", [DELIMITER, signature(parts()), ...parts().reverse()]],
    ["no delimiter", "E_WIRE_FRAMES", [signature(parts()), ...parts()]],
    ["three parts", "E_WIRE_FRAMES", [DELIMITER, signature(parts().slice(0, 3)), ...parts().slice(0, 3)]],
    ["no frames", "E_WIRE_FRAMES", []],
    ["more identities than any network has hops", "E_WIRE_FRAMES", [...Array<string>(100).fill("id"), DELIMITER, signature(parts()), ...parts()]],
    ["more buffers than any widget has", "E_WIRE_FRAMES", [DELIMITER, signature(parts()), ...parts(), ...Array<string>(10_001).fill("")]],
  ])("with %s is refused: %s", (_, code, frames) => {
    expect(codeOf(frames.map((frame) => Buffer.from(frame)))).toBe(code);
  });

  const part = JSON.stringify;
  test.each([
    ["JSON with a tail", [part(HEADER), "{}", "{}", "{}x"]],
    ["an empty part", [part(HEADER), "", "{}", "{}"]],
    ["a list for its content", [part(HEADER), "{}", "{}", "[]"]],
    ["null for its metadata", [part(HEADER), "{}", "null", "{}"]],
    ["a number for its header", ["5", "{}", "{}", "{}"]],
    ["no message id", [part({ ...HEADER, msg_id: undefined }), "{}", "{}", "{}"]],
    ["a number for its type", [part({ ...HEADER, msg_type: 1 }), "{}", "{}", "{}"]],
    ["a number for its subshell", [part({ ...HEADER, subshell_id: 1 }), "{}", "{}", "{}"]],
    ["a byte that is no UTF-8", [part(HEADER), "{}", "{}", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])]],
    ["half a surrogate pair as UTF-8", [part(HEADER), "{}", "{}", Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d])]],
    ["a header that is nested too deep to be sent back", [`{"msg_id":"1","msg_type":"t","x":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, "{}", "{}", "{}"]],
    ["a header of 100 kB", [part({ ...HEADER, extra: "x".repeat(100_000) }), "{}", "{}", "{}"]],
  ])("with %s and a right signature is refused as E_WIRE_JSON", (_, wrong) => {
    expect(codeOf(message(wrong))).toBe("E_WIRE_JSON");
  });

  test("may hold fields nobody knows, keys of prototypes and content nested 100,000 deep", () => {
    const deep = `{"code":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(codeOf(message([part({ ...HEADER, future: { a: 1 } }), "{}", "{}", deep]))).toBe("accepted");
    const decoded = wire().decode(message([part(HEADER), "{}", "{}", '{"__proto__":{"polluted":1},"constructor":1}']));
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(Object.keys(decoded.content)).toEqual(["__proto__", "constructor"]);
  });

  test("that comes a second time is refused, also after 30,000 others", () => {
    const guard = new ReplayGuard();
    const guarded = new Wire(KEY, "sha256", "me", guard);
    const first = message(parts());
    expect(codeOf(first, guarded)).toBe("accepted");
    expect(codeOf(first, guarded)).toBe("E_WIRE_REPLAY");
    for (let i = 0; i < 30_000; i++) guard.accept(`other ${i}`);
    expect(codeOf(first, guarded)).toBe("E_WIRE_REPLAY");
  });

  test("that was refused for its signature may come again with the right one", () => {
    const guarded = new Wire(KEY, "sha256", "me", new ReplayGuard());
    const good = message(parts());
    const tampered = [...good.slice(0, -1), Buffer.from("{}")];
    expect(codeOf(tampered, guarded)).toBe("E_WIRE_SIGNATURE");
    expect(codeOf(good, guarded)).toBe("accepted");
  });

  test("of an unsigned connection is taken without a signature, and twice", () => {
    const open = new Wire("", "sha256", "me", new ReplayGuard());
    const frames = [DELIMITER, "", ...parts()].map((frame) => Buffer.from(frame));
    expect([codeOf(frames, open), codeOf(frames, open)]).toEqual(["accepted", "accepted"]);
  });

  test("is forgotten by the guard in the end, so that its memory is bounded", () => {
    const guard = new ReplayGuard(100);
    expect(guard.accept("first")).toBe(true);
    for (let i = 0; i < 250; i++) guard.accept(String(i));
    expect(guard.accept("first")).toBe(true);
  });
});

/** A seeded generator, so that a failure can be repeated. Source: mulberry32, public domain */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("10,000 mutated messages", () => {
  const random = seeded(20_261_123);
  const below = (count: number): number => Math.floor(random() * count);
  const junk = (): Buffer => Buffer.from(Array.from({ length: below(40) }, () => below(256)));
  const mutations: ((frames: Buffer[]) => void)[] = [
    (frames) => { frames.splice(below(frames.length), 1); },
    (frames) => { frames.splice(below(frames.length + 1), 0, junk()); },
    (frames) => { frames.push(...Array.from({ length: below(30) }, junk)); },
    (frames) => { const [a, b] = [below(frames.length), below(frames.length)]; [frames[a], frames[b]] = [frames[b] ?? junk(), frames[a] ?? junk()]; },
    (frames) => { const at = below(frames.length); frames[at] = junk(); },
    (frames) => { const at = below(frames.length); frames[at] = (frames[at] ?? junk()).subarray(0, below(60)); },
    (frames) => { const at = below(frames.length); frames[at] = Buffer.concat([frames[at] ?? junk(), junk()]); },
    (frames) => { const frame = frames[below(frames.length)]; if (frame !== undefined && frame.length > 0) frame[below(frame.length)] ^= 1 << below(8); },
    (frames) => { frames.reverse(); },
    (frames) => { frames.splice(below(frames.length), 0, ...frames.map((frame) => Buffer.from(frame))); },
  ];
  const fitsByHand = (frames: readonly Buffer[]): boolean => {
    const at = frames.findIndex((frame) => frame.toString("latin1") === DELIMITER);
    return at >= 0 && frames.length >= at + 6 && frames[at + 1]?.toString("latin1") === signature(frames.slice(at + 2, at + 6));
  };

  test("are each refused as malformed, or carry a signature that fits", () => {
    let accepted = 0;
    for (let round = 0; round < 5000; round++) {
      const frames = message(parts({ ...HEADER, msg_id: String(round) }), { identities: ["id"], buffers: [junk()] });
      for (let count = 1 + below(3); count > 0 && frames.length > 0; count--) mutations[below(mutations.length)]?.(frames);
      const code = codeOf(frames);
      if (code === "accepted") accepted += 1;
      if (code === "accepted" && !fitsByHand(frames)) expect.fail(`round ${round} was accepted: ${JSON.stringify(frames.map(String))}`);
    }
    // Changes before the delimiter and behind the fourth part are not signed.
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(2500);
  });

  test("with a right signature are each taken or refused for their JSON", () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 5000; round++) {
      const mutated = parts({ ...HEADER, msg_id: String(round), subshell_id: null }, { code: "é€😀", list: [1, [2, { a: null }]] }).map((text) => Buffer.from(text));
      const at = below(mutated.length);
      const target = [mutated[at] ?? junk()];
      mutations[4 + below(4)]?.(target);
      mutated[at] = target[0] ?? junk();
      const code = codeOf(message(mutated));
      counts.set(code, (counts.get(code) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(["E_WIRE_JSON", "accepted"]);
    expect(counts.get("E_WIRE_JSON")).toBeGreaterThan(2500);
  });
});
