import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { MalformedMessageError } from "../errors.ts";
import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";

/** Version of the messaging protocol that kernel and client speak. 5.4 has iopub_welcome. */
export const PROTOCOL_VERSION = "5.4";

export interface MessageHeader {
  readonly msg_id: string;
  readonly session: string;
  readonly username: string;
  readonly date: string;
  readonly msg_type: string;
  readonly version: string;
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

const DELIMITER = Buffer.from("<IDS|MSG>");
/** header, parent header, metadata, content */
const JSON_FRAMES = 4;

/** Packs messages into zeromq frames and back, signed with the key of the connection.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol */
export class Wire {
  private readonly key: string;
  private readonly digest: string;
  private readonly username: string;
  private readonly session = randomUUID();

  constructor(key: string, digest: string, username: string) {
    this.key = key;
    this.digest = digest;
    this.username = username;
  }

  header(type: string): MessageHeader {
    return {
      msg_id: randomUUID(), session: this.session, username: this.username,
      date: new Date().toISOString(), msg_type: type, version: PROTOCOL_VERSION,
    };
  }

  encode(message: OutgoingMessage, header: MessageHeader = this.header(message.type)): (Buffer | Uint8Array | string)[] {
    const parts = [header, message.parentHeader ?? {}, message.metadata ?? {}, message.content]
      .map((part) => Buffer.from(JSON.stringify(part)));
    return [...(message.identities ?? []), DELIMITER, this.sign(parts), ...parts, ...(message.buffers ?? [])];
  }

  /** Checks the signature in constant time, before any byte is parsed.
   *  @throws MalformedMessageError E_WIRE_FRAMES, E_WIRE_SIGNATURE or E_WIRE_JSON */
  decode(frames: readonly Buffer[]): Message {
    const delimiter = frames.findIndex((frame) => frame.equals(DELIMITER));
    const signature = frames[delimiter + 1];
    const parts = frames.slice(delimiter + 2, delimiter + 2 + JSON_FRAMES);
    if (delimiter < 0 || signature === undefined || parts.length < JSON_FRAMES) {
      throw malformed("E_WIRE_FRAMES", "the frames <IDS|MSG>, signature and four JSON parts are expected");
    }
    const expected = Buffer.from(this.sign(parts));
    if (expected.length !== signature.length || !timingSafeEqual(expected, signature)) {
      throw malformed("E_WIRE_SIGNATURE", "its signature does not fit the key of the connection file");
    }
    const [header, parentHeader, metadata, content] = parts.map(parseFrame);
    if (!isHeader(header) || !isJsonObject(parentHeader) || !isJsonObject(metadata) || !isJsonObject(content)) {
      throw malformed("E_WIRE_JSON", "header, parent header, metadata and content must be objects");
    }
    return {
      identities: frames.slice(0, delimiter), header, parentHeader, metadata, content,
      buffers: frames.slice(delimiter + 2 + JSON_FRAMES),
    };
  }

  private sign(parts: readonly Buffer[]): string {
    if (this.key === "") return "";
    const hmac = createHmac(this.digest, this.key);
    for (const part of parts) hmac.update(part);
    return hmac.digest("hex");
  }
}

function parseFrame(frame: Buffer): unknown {
  try {
    return JSON.parse(frame.toString("utf8"));
  } catch (error) {
    throw malformed("E_WIRE_JSON", "a part is not JSON", error);
  }
}

function isHeader(value: unknown): value is MessageHeader {
  return isJsonObject(value) && typeof value.msg_id === "string" && typeof value.msg_type === "string";
}

function malformed(code: string, why: string, cause?: unknown): MalformedMessageError {
  return new MalformedMessageError({
    code, what: "A message on the kernel's sockets was dropped", why, fix: "connect with a Jupyter client and this kernel's connection file", cause,
  });
}
