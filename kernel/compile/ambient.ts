import { DISPLAY_DECLARATIONS } from "../display/declarations.ts";
import { WIDGET_DECLARATIONS } from "../widgets/declarations.ts";

/** What every cell can use without importing it; the runner defines the values (runner/globals.ts). */
export const AMBIENT_DECLARATIONS = `
interface DisplayOptions {
  /** Names this output, so that later calls with update: true replace it. */
  display_id?: string;
  /** Replace the outputs of this display_id instead of adding one. */
  update?: boolean;
  /** Take the value as a MIME bundle as it is. */
  raw?: boolean;
  metadata?: Record<string, unknown>;
}
${DISPLAY_DECLARATIONS}
/** Removes the outputs of the running cell; with wait, when the next output comes. */
declare function clearOutput(wait?: boolean): void;
/** Asks the user for a line and waits for it. */
declare function input(prompt?: string, password?: boolean): string;
/** Aborted when the running cell is interrupted. A cell that has read it gets 10 s to end by itself, unless it is
 *  interrupted once more. */
declare const cellSignal: AbortSignal;
interface CommChannel {
  readonly id: string;
  readonly targetName: string;
  send(data: unknown, options?: CommOptions): void;
  close(data?: unknown, options?: CommOptions): void;
  onMessage: ((data: any, buffers: Uint8Array[], metadata: Record<string, unknown>) => unknown) | null;
  onClose: ((data: any) => unknown) | null;
}
interface CommOptions { metadata?: Record<string, unknown>; buffers?: readonly (ArrayBufferView | ArrayBuffer)[] }
/** Jupyter comms: messages between the kernel and widgets of the front end. */
declare const comms: {
  register(targetName: string, onOpen: (comm: CommChannel, data: any, buffers: Uint8Array[], metadata: Record<string, unknown>) => unknown): void;
  open(targetName: string, data?: unknown, options?: CommOptions): CommChannel;
};
${WIDGET_DECLARATIONS}`;
