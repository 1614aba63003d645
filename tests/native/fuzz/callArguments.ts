import { BackendError } from "../../../toolkit/errors.ts";
import { specialFloats, specialInts, type Chance } from "./chance.ts";

type Values = Float32Array | Int32Array | Uint8Array | Uint16Array;
const arrayTypes = { f32: Float32Array, i32: Int32Array, u8: Uint8Array, u16: Uint16Array } as const;
type ArrayKind = keyof typeof arrayTypes;
const arrayKinds = Object.keys(arrayTypes) as ArrayKind[];

/** Bytes before and behind an array that a kernel must leave alone. */
const GUARD_BYTES = 256;
const guard = new Uint8Array(GUARD_BYTES).fill(0xa5);

/** Sizes that break careless arithmetic: products of two or more of them leave 32, 53 or 63 bits. */
const wildSizes = [0, 1, 2 ** 16, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 2 ** 33 + 1, 2 ** 53, 2 ** 63, 1e300,
  -1, -(2 ** 31), -(2 ** 63), 0.5, NaN, Infinity, -Infinity];

interface Guarded {
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
}

/** The arguments of one call of a function of the addon. */
export class Call {
  readonly kinds: readonly string[];
  readonly args: unknown[];
  private readonly guards: Guarded[] = [];
  /** sizes are such that threads share the work */
  readonly isLarge: boolean;
  private readonly chance: Chance;
  private readonly palette: readonly number[];
  /** of the arrays in each list */
  private readonly lengths: readonly number[];
  /** memory that several arrays of the call may lie in */
  private common = new ArrayBuffer(4096);

  constructor(chance: Chance, signature: string) {
    this.chance = chance;
    this.isLarge = chance.isTrue(0.05);
    this.palette = Array.from({ length: 3 }, () => (this.isLarge ? chance.pick([chance.int(0, 150), chance.int(0, 150), 40_000]) : chance.int(0, chance.pick([2, 5, 17]))));
    this.lengths = Array.from({ length: chance.int(0, 4) }, () => chance.pick(this.palette));
    this.kinds = signature === "" ? [] : signature.split(" ");
    this.args = [];
    for (const kind of this.kinds) this.args.push(this.make(kind));
  }

  isOutput(position: number): boolean {
    return this.kinds[position].startsWith(">");
  }

  /** An array of the kind that the argument at a position needs. */
  array(position: number, length: number): Values {
    return this.arrayOf(arrayKindOf(this.kinds[position]) ?? this.chance.pick(["f32", "i32", "u8"]), length);
  }

  /** What a guard found changed, or undefined. */
  brokenGuard(): string | undefined {
    for (const { buffer, start, end } of this.guards) {
      if (buffer.byteLength === 0) continue; // detached since
      const isWhole = isEqual(new Uint8Array(buffer, 0, start), guard) && isEqual(new Uint8Array(buffer, end), guard);
      if (!isWhole) return "wrote outside an array";
    }
    return undefined;
  }

  /** Something else than what the argument needs. */
  corrupt(position: number): void {
    const { chance, args } = this;
    const given = args[position];
    // a made-up object may be an instance of Float32Array without being one
    const isArray = ArrayBuffer.isView(given) && (given instanceof Float32Array || given instanceof Int32Array || given instanceof Uint8Array || given instanceof Uint16Array);
    if (typeof given === "number" && chance.isTrue(0.7)) args[position] = chance.isTrue(0.5) ? chance.pick(wildSizes) : given + chance.int(-2, 2);
    else if (isArray && given.length > 0 && chance.isTrue(0.7)) args[position] = this.corruptArray(given);
    else if (isList(given) && chance.isTrue(0.7)) args[position] = this.corruptList(given as Values[]);
    else args[position] = wildValue(chance);
  }

  private corruptArray(given: Values): unknown {
    const { chance } = this;
    const kind = arrayKinds.find((name) => given instanceof arrayTypes[name]) ?? "f32";
    switch (chance.int(0, 6)) {
      case 0: return given.subarray(0, Math.max(0, given.length - 1));
      case 1: return this.arrayOf(chance.pick(arrayKinds), given.length);
      case 2: return detached(given);
      case 3: return chance.pick(this.args.filter((other) => ArrayBuffer.isView(other)));
      case 4: return this.fill(new arrayTypes[kind](sharedBuffer(given.byteLength)));
      case 5: return given.subarray(chance.int(0, given.length));
      default: {
        const changed = given.slice();
        const wild = kind === "i32" ? specialInts : specialFloats;
        for (let i = 0; i < changed.length; i += 1) if (chance.isTrue(0.2)) changed[i] = chance.pick(wild);
        return changed;
      }
    }
  }

  private corruptList(given: readonly Values[]): unknown {
    const { chance } = this;
    const list: unknown[] = [...given];
    const place = chance.int(0, list.length);
    switch (chance.int(0, 6)) {
      case 0: list[place] = wildValue(chance); break;
      case 1: list.splice(place, 1); break;
      case 2: list.length = chance.pick([2 ** 32 - 1, 2 ** 20 + 1, list.length + 3]); break;
      case 3: list[place] = chance.pick([...given, this.arrayOf("f32", chance.int(0, 9))]); break;
      case 4: list[place] = this.arrayOf(chance.pick(arrayKinds), chance.int(0, 9)); break;
      case 5: return new Proxy(list, {});
      default:
        // a getter takes the memory of an array away while the list is read
        Object.defineProperty(list, place, { get: () => (given.length > 0 ? detached(given[0], false) : this.arrayOf("f32", 3)), configurable: true });
    }
    return list;
  }

  private make(kind: string): unknown {
    const { chance } = this;
    switch (kind) {
      case "size": return chance.isTrue(0.02) ? chance.pick(wildSizes) : chance.isTrue(0.1) ? chance.int(0, 3) : chance.pick(this.palette);
      case "number": return chance.isTrue(0.3) ? chance.pick(specialFloats) : chance.next() * 2;
      case "flag": return chance.isTrue(0.5);
      case "threads": return chance.int(1, 5);
      case "class": return BackendError;
      case "rank": return chance.int(1, 4);
      case "layout": return this.layout(this.args.at(-1) as number);
      case "window": return this.window();
      case "list": case ">list": return this.lengths.map((length) => this.arrayOf("f32", length));
      case "f32?": case "i32?": return chance.isTrue(0.5) ? null : this.arrayOf(arrayKindOf(kind) ?? "f32", 0);
      default: return this.arrayOf(arrayKindOf(kind) ?? chance.pick(["f32", "i32", "u8"]), chance.pick([0, 1, 30]));
    }
  }

  /** Sizes, then strides of two operands: mostly as broadcasting has them, sometimes anything. */
  private layout(rank: number): Int32Array | Float64Array {
    const { chance } = this;
    const sizes = Array.from({ length: rank }, () => chance.pick(this.palette));
    const strides = (): number[] => {
      let stride = 1;
      const kept = sizes.map(() => chance.isTrue(0.8));
      return sizes.toReversed().map((size, back) => {
        const own = kept[back] ? stride : 0;
        if (kept[back]) stride *= size;
        return own;
      }).toReversed();
    };
    const numbers = [...sizes, ...strides(), ...strides()];
    if (chance.isTrue(0.15)) numbers[chance.int(0, numbers.length - 1)] = chance.int(-3, 9);
    if (chance.isTrue(0.1)) for (let i = 0; i < numbers.length; i += 1) if (chance.isTrue(0.4)) numbers[i] = chance.pick([...wildSizes, ...specialInts]);
    return chance.isTrue(0.5) ? Int32Array.from(numbers) : Float64Array.from(numbers);
  }

  /** Two axes of in, out, filter, stride, dilation, padding: mostly those of a convolution, sometimes anything. */
  private window(): Int32Array {
    const { chance } = this;
    const axis = (): number[] => [chance.int(0, 9), chance.int(0, 9), chance.int(0, 4), chance.int(1, 3), chance.int(1, 3), chance.int(-2, 3)];
    const numbers = [...axis(), ...axis()];
    if (chance.isTrue(0.15)) for (let i = 0; i < numbers.length; i += 1) if (chance.isTrue(0.3)) numbers[i] = chance.pick([0, -1, 2 ** 30, 2 ** 31 - 1, -(2 ** 31), 2 ** 16]);
    return Int32Array.from(numbers);
  }

  private arrayOf(kind: ArrayKind, length: number): Values {
    const { chance } = this;
    const type = arrayTypes[kind];
    const bytes = length * type.BYTES_PER_ELEMENT;
    switch (chance.int(0, 9)) {
      case 0: return this.fill(new type(sharedBuffer(bytes)));
      case 1: return this.fill(new type(resizableBuffer(bytes)));
      case 2: {
        if (this.common.byteLength === 0) this.common = new ArrayBuffer(4096); // a getter detached it
        const room = this.common.byteLength - bytes;
        return this.fill(room < 0 ? new type(length) : new type(this.common, 4 * chance.int(0, Math.floor(room / 4)), length));
      }
      case 3: case 4: case 5: case 6: {
        const buffer = new ArrayBuffer(bytes + 2 * GUARD_BYTES);
        new Uint8Array(buffer).set(guard);
        new Uint8Array(buffer).set(guard, GUARD_BYTES + bytes);
        this.guards.push({ buffer, start: GUARD_BYTES, end: GUARD_BYTES + bytes });
        return this.fill(new type(buffer, GUARD_BYTES, length));
      }
      default: return this.fill(new type(length));
    }
  }

  private fill<T extends Values>(values: T): T {
    const { chance } = this;
    if (values instanceof Int32Array) this.fillInts(values);
    else if (values instanceof Float32Array) {
      const specials = chance.isTrue(0.3) ? 0.3 : 0;
      for (let i = 0; i < values.length; i += 1) values[i] = chance.isTrue(specials) ? chance.pick(specialFloats) : chance.next() * 4 - 2;
    } else for (let i = 0; i < values.length; i += 1) values[i] = chance.isTrue(0.9) ? chance.int(0, 1) : chance.int(0, 65535);
    return values;
  }

  /** Integers are mostly used as indices: orders, offsets that rise, places. */
  private fillInts(values: Int32Array): void {
    const { chance } = this;
    const most = chance.pick([values.length, ...this.palette]);
    switch (chance.int(0, 4)) {
      case 0: values.set(chance.order(values.length)); return;
      case 1:
        for (let i = 0; i < values.length; i += 1) values[i] = chance.int(0, most);
        values.sort();
        if (values.length > 0) values[0] = 0;
        values[values.length - 1] = most;
        return;
      case 2: for (let i = 0; i < values.length; i += 1) values[i] = chance.pick(specialInts); return;
      default: for (let i = 0; i < values.length; i += 1) values[i] = chance.int(0, Math.max(0, most - 1));
    }
  }
}

function arrayKindOf(kind: string): ArrayKind | undefined {
  return arrayKinds.find((name) => kind.replace(/[>?]/g, "") === name);
}

/** An array that isn't made to be endless. */
export function isList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length < 100;
}

/** An array whose memory is gone: a copy's, or its own. */
function detached(values: Values, copies = true): Values {
  const gone = copies ? values.slice() : values;
  if (gone.buffer instanceof ArrayBuffer) structuredClone(gone.buffer, { transfer: [gone.buffer] });
  return gone;
}

/** Typed as an ArrayBuffer: with a choice of array types TypeScript finds no constructor that takes both. */
function sharedBuffer(bytes: number): ArrayBuffer {
  return new SharedArrayBuffer(bytes) as ArrayBufferLike as ArrayBuffer;
}

/** One that may still change its length, so that arrays on it have no fixed one. */
function resizableBuffer(bytes: number): ArrayBuffer {
  const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
  return new Resizable(bytes, { maxByteLength: 2 * bytes + 8 });
}

function wildValue(chance: Chance): unknown {
  return chance.pick([
    undefined, null, true, "12", "", Symbol("x"), 12n, {}, [], [1, 2, 3], () => 1, new Date(0), new Float64Array(4), new BigInt64Array(2),
    new DataView(new ArrayBuffer(8)), new ArrayBuffer(8), new Uint8ClampedArray(9), Object.create(Float32Array.prototype), new Proxy(new Float32Array(4), {}),
    { length: 4, 0: 1 }, chance.pick(wildSizes), chance.pick(specialInts),
  ]);
}

export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return byteLength === 0 ? new Uint8Array(0) : new Uint8Array(buffer, byteOffset, byteLength);
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
