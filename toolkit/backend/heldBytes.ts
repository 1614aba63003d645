/** Counts the bytes that objects hold, each from add until remove, or until it is garbage-collected. */
export class HeldBytes {
  private bytes = 0;
  private highest = 0;
  private readonly collected = new FinalizationRegistry<number>((bytes) => { this.bytes -= bytes; });

  /** Bytes held now. Of an unreachable object they count until the garbage collector has run and the program has gone
   *  back to its event loop. */
  get now(): number {
    return this.bytes;
  }

  /** Most bytes held at once since the start or resetPeak. */
  get peak(): number {
    return this.highest;
  }

  resetPeak(): void {
    this.highest = this.bytes;
  }

  add(owner: object, bytes: number): void {
    if (bytes === 0) return;
    this.bytes += bytes;
    if (this.bytes > this.highest) this.highest = this.bytes;
    this.collected.register(owner, bytes, owner);
  }

  /** @param bytes what was added for this owner */
  remove(owner: object, bytes: number): void {
    if (bytes === 0) return;
    this.bytes -= bytes;
    this.collected.unregister(owner);
  }
}

/** Bytes of what tfjs keeps as a tensor's values: a typed array, strings as bytes, or JavaScript's own numbers. */
export function bytesOf(values: unknown): number {
  if (ArrayBuffer.isView(values)) return values.byteLength;
  if (!Array.isArray(values)) return 0;
  return values.reduce((sum: number, value: unknown) => sum + (ArrayBuffer.isView(value) ? value.byteLength : 8), 0);
}
