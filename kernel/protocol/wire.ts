import { isUtf8 } from "node:buffer";
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { MalformedMessageError } from "../errors.ts";
import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { ReplayGuard } from "./replayGuard.ts";

/** Version of the messaging protocol that kernel and client speak. 5.4 has iopub_welcome. */
export const PROTOCOL_VERSION = "5.4";

export interface MessageHeader {
  readonly msg_id: string;
  readonly session: string;
  readonly username: string;
  readonly date: string;
  readonly msg_type: string;
  readonly version: string;
  /** Which subshell a request is for; null or missing for the main shell. */
  readonly subshell_id?: string | null;
}

/** One message of the Jupyter protocol, on either side. */
export interface Message {
  /** Routing prefix of zeromq: who asked. */
  readonly identities: readonly Buffer[];
  readonly header: MessageHeader;
  /** Header of the message that caused this one; empty when there is none. */
  readonly parentHeader: Partial<MessageHeader>;
  readonly metadata: JsonObject;
  readonly content: JsonObject;
  readonly buffers: readonly Uint8Array[];
  /** Of all its frames. */
  readonly byteLength: number;
}

/** What a sender says; the wire adds id, date, session and signature. */
export interface OutgoingMessage {
  readonly type: string;
  readonly content: object;
  readonly parentHeader?: Partial<MessageHeader>;
  readonly identities?: readonly (Buffer | string)[];
  readonly metadata?: object;
  readonly buffers?: readonly Uint8Array[];
}

/** Shorter parts are given to zeromq as strings, in UTF-16 units. */
const COPIED_LENGTH = 1 << 13;

const DELIMITER = Buffer.from("<IDS|MSG>");
/** header, parent header, metadata, content */
const JSON_FRAMES = 4;
/** One hop of zeromq adds one identity; this many hops is far more than any network of them has. */
const MAX_IDENTITIES = 16;
/** A widget sends a few buffers, one for each array. */
const MAX_BUFFERS = 10_000;
/** Headers are copied into every message that answers a request, so a large one costs again and again. In bytes. */
const MAX_HEADER_BYTES = 1 << 16;
/** JSON.stringify is recursive and would overflow the stack when a deeper header is sent back. */
const MAX_HEADER_DEPTH = 16;

/** Packs messages into zeromq frames and back, signed with the key of the connection.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol */
export class Wire {
  private readonly key: string;
  private readonly digest: string;
  private readonly username: string;
  private readonly session = randomUUID();
  private readonly replays: ReplayGuard | null;

  /** @param replays refuses messages that come a second time; without it they are taken */
  constructor(key: string, digest: string, username: string, replays: ReplayGuard | null = null) {
    this.key = key;
    this.digest = digest;
    this.username = username;
    this.replays = replays;
  }

  header(type: string): MessageHeader {
    return {
      msg_id: randomUUID(), session: this.session, username: this.username,
      date: new Date().toISOString(), msg_type: type, version: PROTOCOL_VERSION,
    };
  }

  encode(message: OutgoingMessage, header: MessageHeader = this.header(message.type)): (Buffer | Uint8Array | string)[] {
    const parts = [header, message.parentHeader ?? {}, message.metadata ?? {}, message.content].map((part) => {
      const text = JSON.stringify(part);
      // zeromq copies a string, and tells this thread when it is done with a buffer.
      return text.length < COPIED_LENGTH ? text : Buffer.from(text);
    });
    return [...(message.identities ?? []), DELIMITER, this.sign(parts), ...parts, ...(message.buffers ?? [])];
  }

  /** Checks the signature in constant time, before any byte is parsed.
   *  @throws MalformedMessageError E_WIRE_FRAMES, E_WIRE_SIGNATURE, E_WIRE_REPLAY or E_WIRE_JSON */
  decode(frames: readonly Buffer[]): Message {
    const delimiter = frames.slice(0, MAX_IDENTITIES + 1).findIndex((frame) => frame.equals(DELIMITER));
    const signature = frames[delimiter + 1];
    const firstBuffer = delimiter + 2 + JSON_FRAMES;
    const parts = frames.slice(delimiter + 2, firstBuffer);
    if (delimiter < 0 || signature === undefined || parts.length < JSON_FRAMES) {
      throw malformed("E_WIRE_FRAMES", "the frames <IDS|MSG>, signature and four JSON parts are expected");
    }
    if (frames.length - firstBuffer > MAX_BUFFERS) throw malformed("E_WIRE_FRAMES", `it has more than ${MAX_BUFFERS} buffers`);
    const expected = Buffer.from(this.sign(parts));
    if (expected.length !== signature.length || !timingSafeEqual(expected, signature)) {
      throw malformed("E_WIRE_SIGNATURE", "its signature does not fit the key of the connection file");
    }
    // Unsigned messages of two clients may well be equal.
    if (this.key !== "" && this.replays?.accept(signature.toString("latin1")) === false) {
      throw malformed("E_WIRE_REPLAY", "the same message has come before");
    }
    if (parts.slice(0, 2).some(({ length }) => length > MAX_HEADER_BYTES)) {
      throw malformed("E_WIRE_JSON", `its header or parent header is longer than ${MAX_HEADER_BYTES} bytes`);
    }
    const [header, parentHeader, metadata, content] = parts.map(parseFrame);
    if (!isHeader(header) || !isJsonObject(parentHeader) || !isJsonObject(metadata) || !isJsonObject(content)) {
      throw malformed("E_WIRE_JSON", "header, parent header, metadata and content must be objects, and the header needs its fields");
    }
    return {
      identities: frames.slice(0, delimiter), header, parentHeader, metadata, content, buffers: frames.slice(firstBuffer),
      byteLength: frames.reduce((sum, { length }) => sum + length, 0),
    };
  }

  private sign(parts: readonly (Buffer | string)[]): string {
    if (this.key === "") return "";
    const hmac = createHmac(this.digest, this.key);
    for (const part of parts) hmac.update(part);
    return hmac.digest("hex");
  }
}

function parseFrame(frame: Buffer): unknown {
  // Buffer.toString would put replacement characters in silently.
  if (!isUtf8(frame)) throw malformed("E_WIRE_JSON", "a part is not UTF-8");
  try {
    return JSON.parse(frame.toString("utf8"));
  } catch (error) {
    // Also of a part that is longer than a JavaScript string may be, 512 MiB.
    throw malformed("E_WIRE_JSON", "a part is not JSON", error);
  }
}

function isHeader(value: unknown): value is MessageHeader {
  if (!isJsonObject(value) || typeof value.msg_id !== "string" || typeof value.msg_type !== "string") return false;
  const { subshell_id: subshell = null } = value;
  return (subshell === null || typeof subshell === "string") && isShallow(value, MAX_HEADER_DEPTH);
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((item) => isShallow(item, depth - 1));
}

function malformed(code: string, why: string, cause?: unknown): MalformedMessageError {
  return new MalformedMessageError({
    code, what: "A message on the kernel's sockets was dropped", why, fix: "connect with a Jupyter client and this kernel's connection file", cause,
  });
}
