/** Element types that tensors of the native backend keep in typed arrays. */
export type NumericType = "float32" | "int32" | "bool";

export interface ArrayOfType {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}
export type NumericArray = ArrayOfType[NumericType];

/** Shorter arrays are made anew each time: that costs less than keeping track of them. */
const SHORTEST_KEPT = 64;

const arrayOfType = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

export function isNumericArray(values: unknown): values is NumericArray {
  return values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array;
}

/** Arrays of one type and length share a number. */
function keyOf(type: NumericType, length: number): number {
  return 3 * length + (type === "float32" ? 0 : type === "int32" ? 1 : 2);
}

function typeOf(values: NumericArray): NumericType {
  if (values instanceof Float32Array) return "float32";
  return values instanceof Int32Array ? "int32" : "bool";
}

/** Typed arrays of tensors that are gone, kept for tensors of the same size: fresh memory is zero-filled and faults its
 *  pages in, which costs more than a small kernel. Holds at most `limitBytes`; the sizes used longest ago go first.
 *
 *  An array is in one of three states. *lent*: given out by take, no tensor holds it yet. *bound*: exactly one tensor's
 *  data holds it and nobody else can see it. *foreign*: made elsewhere, or seen by someone else (handed out by readSync,
 *  shared by a second tensor) or too short to be worth it; never used again. Only lent and bound arrays come back. */
export class Recycler {
  private readonly lent = new WeakSet<ArrayBufferLike>();
  private readonly bound = new WeakSet<ArrayBufferLike>();
  /** idle arrays by keyOf; the keys' order is the order of last use */
  private readonly idle = new Map<number, NumericArray[]>();
  private idleBytes = 0;
  readonly limitBytes: number;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** Bytes of arrays that wait to be used again. */
  get bytes(): number {
    return this.idleBytes;
  }

  /** An array of `size` elements with undefined contents; lent. */
  take<T extends NumericType>(type: T, size: number): ArrayOfType[T] {
    const values = size < SHORTEST_KEPT ? new arrayOfType[type](size) : this.takeKept(type, size);
    return values as ArrayOfType[T]; // arrayOfType[type] makes it so; TypeScript can't follow the index
  }

  /** A tensor now holds the array: lent becomes bound; a second holder, or one of only a part, makes it foreign. */
  bind(values: NumericArray): void {
    const isWhole = values.byteLength === values.buffer.byteLength;
    if (this.lent.delete(values.buffer) && isWhole) this.bound.add(values.buffer);
    else this.bound.delete(values.buffer);
  }

  /** Someone else can see the array's memory from now on. */
  disown(buffer: ArrayBufferLike): void {
    this.lent.delete(buffer);
    this.bound.delete(buffer);
  }

  isBound(values: NumericArray): boolean {
    return this.bound.has(values.buffer);
  }

  /** The tensor that held the array is gone. */
  unbind(values: NumericArray): void {
    if (this.bound.delete(values.buffer)) this.keep(values);
  }

  /** Gives back an array from take that no tensor ever held. */
  giveBack(values: NumericArray): void {
    if (this.lent.delete(values.buffer)) this.keep(values);
  }

  /** Lets go of all idle arrays. */
  clear(): void {
    this.idle.clear();
    this.idleBytes = 0;
  }

  private takeKept(type: NumericType, size: number): NumericArray {
    const idle = this.idle.get(keyOf(type, size))?.pop();
    if (idle !== undefined) this.idleBytes -= idle.byteLength;
    const values = idle ?? new arrayOfType[type](size);
    this.lent.add(values.buffer);
    return values;
  }

  private keep(values: NumericArray): void {
    if (values.byteLength > this.limitBytes) return;
    const key = keyOf(typeOf(values), values.length);
    const sameSize = this.idle.get(key) ?? [];
    sameSize.push(values);
    this.idle.delete(key);
    this.idle.set(key, sameSize);
    this.idleBytes += values.byteLength;
    this.dropOldest();
  }

  private dropOldest(): void {
    for (const [key, arrays] of this.idle) {
      while (this.idleBytes > this.limitBytes && arrays.length > 0) this.idleBytes -= arrays.pop()?.byteLength ?? 0;
      if (arrays.length === 0) this.idle.delete(key);
      if (this.idleBytes <= this.limitBytes) return;
    }
  }
}
