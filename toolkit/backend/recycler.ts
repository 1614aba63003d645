import { arrayTypes, hostArrayOfType, typeOfHostArray, type ArrayType, type HostArray, type HostArrayOfType } from "./arrays.ts";
import { nativeBinding } from "./binding.ts";

/** Shorter arrays are made anew each time: that costs less than keeping track of them. */
const SHORTEST_KEPT = 64;

/** Larger arrays begin where a vector doesn't straddle two cache lines; JavaScript's own begin 16 bytes behind one. */
const SHORTEST_ALIGNED_BYTES = 4096;
const LINE_BYTES = 64;

/** Arrays of one type and length share a number. */
function keyOf(type: ArrayType, length: number): number {
  return arrayTypes.length * length + arrayTypes.indexOf(type);
}

/** An array with undefined contents. */
function freshArray(type: ArrayType, size: number): HostArray {
  const array = hostArrayOfType[type], bytes = size * array.BYTES_PER_ELEMENT;
  if (bytes < SHORTEST_ALIGNED_BYTES) return new array(size);
  const memory = new Uint8Array(bytes + LINE_BYTES);
  return new array(memory.buffer, nativeBinding().prepareMemory(memory), size);
}

/** Typed arrays of tensors that are gone, kept for tensors of the same size: fresh memory is zero-filled and faults its
 *  pages in, which costs more than a small kernel. Holds at most `limitBytes`; the sizes used longest ago go first.
 *
 *  An array is in one of three states. *lent*: given out by take, no tensor holds it yet. *bound*: exactly one tensor's
 *  data holds it and nobody else can see it. *foreign*: made elsewhere, or shared by a second tensor, or too short to be
 *  worth it; never used again. Only lent and bound arrays come back. An array is known by its buffer. */
export class Recycler {
  /** bytes of the lent arrays */
  private readonly lent = new WeakMap<ArrayBufferLike, number>();
  private readonly bound = new WeakSet<ArrayBufferLike>();
  /** idle arrays by keyOf; the keys' order is the order of last use */
  private readonly idle = new Map<number, HostArray[]>();
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
  take<T extends ArrayType>(type: T, size: number): HostArrayOfType[T] {
    const values = size < SHORTEST_KEPT ? new hostArrayOfType[type](size) : this.takeKept(type, size);
    return values as HostArrayOfType[T]; // hostArrayOfType[type] makes it so; TypeScript can't follow the index
  }

  /** A tensor now holds the array: lent becomes bound; a second holder, or one of only a part, makes it foreign. */
  bind(values: HostArray): void {
    const isWhole = this.lent.get(values.buffer) === values.byteLength;
    this.lent.delete(values.buffer);
    if (isWhole) this.bound.add(values.buffer);
    else this.bound.delete(values.buffer);
  }

  /** Someone else can see the array's memory from now on. */
  disown(buffer: ArrayBufferLike): void {
    this.lent.delete(buffer);
    this.bound.delete(buffer);
  }

  isBound(values: HostArray): boolean {
    return this.bound.has(values.buffer);
  }

  /** The tensor that held the array is gone. */
  unbind(values: HostArray): void {
    if (this.bound.delete(values.buffer)) this.keep(values);
  }

  /** Gives back an array from take that no tensor ever held. */
  giveBack(values: HostArray): void {
    if (this.lent.delete(values.buffer)) this.keep(values);
  }

  /** Lets go of all idle arrays. */
  clear(): void {
    this.idle.clear();
    this.idleBytes = 0;
  }

  private takeKept(type: ArrayType, size: number): HostArray {
    const idle = this.idle.get(keyOf(type, size))?.pop();
    if (idle !== undefined) this.idleBytes -= idle.byteLength;
    const values = idle ?? freshArray(type, size);
    this.lent.set(values.buffer, values.byteLength);
    return values;
  }

  private keep(values: HostArray): void {
    if (values.byteLength > this.limitBytes) return;
    const key = keyOf(typeOfHostArray(values), values.length);
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
