import { BackendError } from "../../../toolkit/errors.ts";
import { bytesOf, Call, isEqual, isList } from "./callArguments.ts";
import { Chance } from "./chance.ts";
import { signatures } from "./signatures.ts";

export type Addon = Readonly<Record<string, (...args: unknown[]) => unknown>>;

/** Longer arrays are not made: a call that asks for one ends with its error. */
const MOST_ELEMENTS = 2 ** 18;

/** Calls a function until its arguments fit, then with one or two of them corrupted, again and again.
 *  @returns what went wrong, or undefined */
export function fuzzFunction(addon: Addon, name: string, seed: number): string | undefined {
  const chance = new Chance(seed);
  const call = new Call(chance, signatures[name]);
  const complaint = repair(addon, name, call) ?? (call.isLarge ? differenceByThreads(addon, name, call, chance) : undefined);
  if (complaint !== undefined || call.args.length === 0) return complaint;
  for (let corrupted = 0; corrupted < 4; corrupted += 1) {
    const fitting = [...call.args];
    for (let changes = chance.int(1, 2); changes > 0; changes -= 1) call.corrupt(chance.int(0, fitting.length - 1));
    const args = chance.isTrue(0.05) ? call.args.slice(0, chance.int(0, fitting.length)) : call.args;
    const wrong = outcomeOf(addon, name, call, args).wrong;
    if (wrong !== undefined) return wrong;
    call.args.splice(0, Infinity, ...fitting);
  }
  return undefined;
}

/** Makes arrays longer as the errors ask for it. */
function repair(addon: Addon, name: string, call: Call): string | undefined {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    const { wrong, error } = outcomeOf(addon, name, call, call.args);
    if (wrong !== undefined || error === undefined) return wrong;
    const position = Number(/argument (\d+)/.exec(error)?.[1]) - 1;
    const length = Number(/at least (\d+) elements/.exec(error)?.[1] ?? /the other arguments ask for (\d+)/.exec(error)?.[1]);
    const target = Number.isNaN(position) ? call.kinds.findIndex((kind) => kind.endsWith("any")) : position;
    if (Number.isNaN(length) || length > MOST_ELEMENTS || target < 0) return undefined;
    call.args[target] = call.array(target, length);
  }
  return undefined;
}

/** Calls with the same arguments on one thread and on several: the outputs must have the same bits. */
function differenceByThreads(addon: Addon, name: string, call: Call, chance: Chance): string | undefined {
  if (name === "setThreads") return undefined;
  const arrays = call.args.flatMap((arg) => (isList(arg) ? arg : [arg])).filter((arg) => ArrayBuffer.isView(arg));
  const before = arrays.map((array) => bytesOf(array).slice());
  const outputsWith = (threads: number): Uint8Array[] => {
    addon.setThreads(threads);
    arrays.forEach((array, i) => { bytesOf(array).set(before[i]); });
    outcomeOf(addon, name, call, call.args);
    return arrays.map((array) => bytesOf(array).slice());
  };
  const alone = outputsWith(1);
  const threads = chance.int(2, 8);
  const shared = outputsWith(threads);
  addon.setThreads(2);
  const different = shared.findIndex((bytes, i) => !isEqual(bytes, alone[i]));
  return different < 0 ? undefined : `gave other bits on ${threads} threads, in array ${different + 1}`;
}

/** `error` is the text of a typed error, `wrong` what must not happen. */
function outcomeOf(addon: Addon, name: string, call: Call, args: readonly unknown[]): { error?: string; wrong?: string } {
  const inputs = args.flatMap((value, i) => (ArrayBuffer.isView(value) && i < call.kinds.length && !call.isOutput(i) && value.byteLength < 4096 ? [{ i, value, copy: bytesOf(value).slice() }] : []));
  let error: string | undefined;
  try {
    addon[name](...args);
    if (name === "setErrorClass") addon.setErrorClass(BackendError);
  } catch (thrown) {
    if (name === "setErrorClass") addon.setErrorClass(BackendError);
    if (!isTyped(thrown)) return { wrong: `threw ${String(thrown)}` };
    error = thrown.message;
  }
  // a getter in a list may have detached it
  const changed = inputs.find(({ i, value, copy }) => value.byteLength > 0 && !writesTo(call, args, i) && !isEqual(bytesOf(value), copy));
  if (changed !== undefined) return { wrong: `changed its input ${changed.i + 1}` };
  const wrong = call.brokenGuard();
  return { ...(error !== undefined && { error }), ...(wrong !== undefined && { wrong }) };
}

/** True when an output of the call lies in the same memory. */
function writesTo(call: Call, args: readonly unknown[], input: number): boolean {
  const { buffer } = args[input] as ArrayBufferView;
  return args.some((arg, i) => i < call.kinds.length && call.isOutput(i)
    && (isList(arg) ? arg : [arg]).some((other) => ArrayBuffer.isView(other) && other.buffer === buffer));
}

function isTyped(thrown: unknown): thrown is Error {
  if (!(thrown instanceof Error)) return false;
  return thrown instanceof TypeError || ("code" in thrown && /^E_NATIVE_[A-Z]+$/.test(String(thrown.code)));
}
