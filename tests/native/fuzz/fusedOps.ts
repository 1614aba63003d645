import * as tf from "@tensorflow/tfjs-core";
import { MoeLabError } from "../../../toolkit/errors.ts";
import { adamwStep, globalNorm } from "../../../toolkit/ops/adamw.ts";
import { attention } from "../../../toolkit/ops/attention.ts";
import { combine } from "../../../toolkit/ops/combine.ts";
import { crossEntropy } from "../../../toolkit/ops/crossEntropy.ts";
import { dispatch, planDispatch, type DispatchPlan } from "../../../toolkit/ops/dispatch.ts";
import { embedding } from "../../../toolkit/ops/embedding.ts";
import { expertFeedForward } from "../../../toolkit/ops/expertFeedForward.ts";
import { feedForwardKinds, isGated } from "../../../toolkit/ops/feedForwardKinds.ts";
import { groupedMatmul } from "../../../toolkit/ops/groupedMatmul.ts";
import { layerNorm } from "../../../toolkit/ops/layerNorm.ts";
import { rmsNorm } from "../../../toolkit/ops/rmsNorm.ts";
import { rotary } from "../../../toolkit/ops/rotary.ts";
import { routeTopK } from "../../../toolkit/ops/routeTopK.ts";
import { specialFloats, specialInts, type Chance } from "./chance.ts";
import { errorText, floats, ints, tensorOf, type Sample } from "./samples.ts";

type Inputs = Record<string, tf.Tensor>;

/** One call of a fused op. */
interface FusedCase {
  readonly inputs: Record<string, Sample>;
  readonly run: (inputs: Inputs) => tf.Tensor[];
  /** inputs whose gradients are taken; none: the op has none */
  readonly differentiable: readonly string[];
  readonly settings?: unknown;
  /** the inputs are ones that the op must refuse or may answer as it likes */
  readonly isLoose?: boolean;
}

const calm = (chance: Chance, shape: number[]): Sample => floats(chance, shape, "calm", [-1, 1]);
const few = (chance: Chance): number => (chance.isTrue(0.08) ? 0 : chance.isTrue(0.05) ? chance.int(20, 90) : chance.int(1, 9));

/** Chosen experts [N, K], different ones for each token. */
function expertIds(chance: Chance, N: number, K: number, E: number): Sample {
  return { shape: [N, K], dtype: "int32", values: Int32Array.from(Array.from({ length: N }, () => chance.order(E).slice(0, K)).flat()) };
}

/** A plan whose tensors may be changed a little: ids out of range, slots named twice, offsets that fall. */
function planOf(ids: tf.Tensor, E: number, broken: { tensor: keyof DispatchPlan; at: number; value: number } | undefined): DispatchPlan {
  const plan = planDispatch(ids, E);
  if (broken === undefined) return plan;
  const tensor = plan[broken.tensor];
  const values = tensor.dataSync<"int32">().slice();
  if (values.length > 0) values[broken.at % values.length] = broken.value;
  return { ...plan, [broken.tensor]: tf.tensor(values, tensor.shape, "int32") };
}

function breakage(chance: Chance): { tensor: keyof DispatchPlan; at: number; value: number } | undefined {
  if (chance.isTrue(0.7)) return undefined;
  return { tensor: chance.pick(["offsets", "slotToken", "tokenSlot"] as const), at: chance.int(0, 30), value: chance.isTrue(0.5) ? chance.int(-1, 9) : chance.pick(specialInts) };
}

function moeSizes(chance: Chance): { N: number; K: number; E: number; C: number; H: number } {
  const E = chance.int(1, 6);
  return { N: few(chance), K: chance.int(1, E), E, C: few(chance), H: few(chance) };
}

const makers: Readonly<Record<string, (chance: Chance) => FusedCase>> = {
  rmsNorm: (chance) => {
    const C = few(chance);
    return { inputs: { x: calm(chance, [few(chance), few(chance), C]), gain: calm(chance, [C]) }, run: ({ x, gain }) => [rmsNorm(x, gain, 1e-5)], differentiable: ["x", "gain"], isLoose: C === 0 };
  },
  layerNorm: (chance) => {
    const C = few(chance);
    return {
      inputs: { x: calm(chance, [few(chance), C]), gain: calm(chance, [C]), bias: calm(chance, [C]) },
      run: ({ x, gain, bias }) => [layerNorm(x, gain, bias, 1e-3)], differentiable: ["x", "gain", "bias"], isLoose: C === 0,
    };
  },
  rotary: (chance) => {
    const D = chance.int(0, 9), startPosition = chance.int(0, 50);
    return { inputs: { x: calm(chance, [few(chance), few(chance), chance.int(0, 3), D]) }, run: ({ x }) => [rotary(x, { base: 10_000, startPosition })], differentiable: ["x"], settings: { startPosition } };
  },
  attention: (chance) => {
    const [B, Tq, G, R, D] = [chance.int(0, 2), few(chance), chance.int(0, 2), chance.int(0, 3), chance.int(0, 6)];
    const Tk = Tq + (chance.isTrue(0.5) ? 0 : chance.int(-1, 5));
    const inputs = { query: calm(chance, [B, Tq, G * R, D]), key: calm(chance, [B, Math.max(0, Tk), G, D]), value: calm(chance, [B, Math.max(0, Tk), G, D]) };
    const firstKey: Sample = { shape: [B, Tq], dtype: "int32", values: Int32Array.from({ length: B * Tq }, (_, i) => chance.int(0, Math.max(0, (i % Tq) + Tk - Tq))) };
    return {
      inputs: chance.isTrue(0.5) ? { ...inputs, firstKey } : inputs,
      run: (given) => [attention(given.query, given.key, given.value, given.firstKey)], differentiable: ["query", "key", "value"], isLoose: B * Tq * Tk * G * R * D <= 0,
    };
  },
  routeTopK: (chance) => {
    const E = chance.int(0, 12), expertsPerToken = chance.int(0, E + 1), renormalize = chance.isTrue(0.5);
    return {
      inputs: { logits: calm(chance, [few(chance), E]) }, settings: { expertsPerToken, renormalize }, differentiable: ["logits"],
      run: ({ logits }) => { const route = routeTopK(logits, { expertsPerToken, renormalize }); return [route.weights, route.probabilities]; },
    };
  },
  dispatch: (chance) => {
    const { N, K, E, C } = moeSizes(chance);
    const broken = breakage(chance);
    return { inputs: { x: calm(chance, [N, C]), ids: expertIds(chance, N, K, E) }, run: ({ x, ids }) => [dispatch(x, planOf(ids, E, broken))], differentiable: ["x"], settings: { broken }, isLoose: broken !== undefined };
  },
  combine: (chance) => {
    const { N, K, E, C } = moeSizes(chance);
    const broken = breakage(chance);
    return {
      inputs: { rows: calm(chance, [N * K, C]), weights: calm(chance, [N, K]), ids: expertIds(chance, N, K, E) }, settings: { broken }, isLoose: broken !== undefined,
      run: ({ rows, weights, ids }) => [combine(rows, weights, planOf(ids, E, broken))], differentiable: ["rows", "weights"],
    };
  },
  groupedMatmul: (chance) => {
    const { N, K, E, C, H } = moeSizes(chance);
    const broken = breakage(chance);
    return {
      inputs: { rows: calm(chance, [N * K, C]), weights: calm(chance, [E, C, H]), ids: expertIds(chance, N, K, E) }, settings: { broken }, isLoose: broken !== undefined,
      run: ({ rows, weights, ids }) => [groupedMatmul(rows, weights, planOf(ids, E, broken).offsets)], differentiable: ["rows", "weights"],
    };
  },
  expertFeedForward: (chance) => {
    const { N, K, E, C, H } = moeSizes(chance);
    const broken = breakage(chance), kind = chance.pick(feedForwardKinds), columns = isGated(kind) ? 2 * H : H;
    return {
      inputs: { x: calm(chance, [N, C]), weights: calm(chance, [N, K]), first: calm(chance, [E, C, columns]), down: calm(chance, [E, H, C]), ids: expertIds(chance, N, K, E) },
      run: ({ x, weights, first, down, ids }) => [expertFeedForward(x, weights, planOf(ids, E, broken), first, down, kind)],
      differentiable: ["x", "weights", "first", "down"], settings: { broken, kind }, isLoose: broken !== undefined,
    };
  },
  crossEntropy: (chance) => {
    const N = few(chance), V = few(chance);
    const targets = ints(chance, [N], 0, Math.max(0, V - (chance.isTrue(0.9) ? 1 : 0)), chance.isTrue(0.9) ? 0 : 0.2);
    const mask = ints(chance, [N], 0, 1);
    const lossMask: Sample = { shape: [N], dtype: "float32", values: Float32Array.from(mask.values) };
    return {
      inputs: { logits: calm(chance, [N, V]), targets, lossMask }, run: ({ logits, targets: t, lossMask: m }) => [crossEntropy(logits, t, m)], differentiable: ["logits"],
    };
  },
  embedding: (chance) => {
    const V = few(chance);
    const ids = ints(chance, [few(chance)], 0, Math.max(0, V - (chance.isTrue(0.9) ? 1 : 0)), chance.isTrue(0.9) ? 0 : 0.2);
    return { inputs: { table: calm(chance, [V, few(chance)]), ids }, run: ({ table, ids: i }) => [embedding(table, i)], differentiable: ["table"] };
  },
  adamwStep: (chance) => {
    const shape = [few(chance), few(chance)];
    const second = calm(chance, shape);
    second.values.forEach((value, i) => { second.values[i] = value * value; });
    return {
      inputs: { value: calm(chance, shape), gradient: calm(chance, shape), firstMoment: calm(chance, shape), secondMoment: second }, differentiable: [],
      run: ({ value, gradient, firstMoment, secondMoment }) => {
        // a variable made of a disposed tensor breaks tfjs itself: one of a copy refuses it
        const variables = [value, firstMoment, secondMoment].map((tensor) => tf.variable(tf.add(tensor, 0)));
        adamwStep([{ value: variables[0], gradient, firstMoment: variables[1], secondMoment: variables[2], weightDecay: 0.1 }],
          { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, step: 2, gradientScale: 0.5 });
        const updated = variables.map((variable) => tf.clone(variable));
        variables.forEach((variable) => { variable.dispose(); });
        return updated;
      },
    };
  },
  globalNorm: (chance) => ({ inputs: { a: calm(chance, [few(chance)]), b: calm(chance, [few(chance), 3]) }, run: ({ a, b }) => [globalNorm([a, b])], differentiable: [] }),
};

export const fusedNames: readonly string[] = Object.keys(makers);

/** Runs a fused op on "native" and, composed of tfjs's ops, on "cpu"; where it has gradients, these.
 *  @returns what is wrong, or undefined */
export function fuzzFusedOp(name: string, chance: Chance): string | undefined {
  const made = makers[name](chance);
  const spoiled = chance.isTrue(0.15) ? spoil(chance, made.inputs) : undefined;
  const isLoose = made.isLoose === true || spoiled !== undefined;
  const takesGradient = made.differentiable.length > 0 && chance.isTrue(0.5);
  const actual = runOn("native", made, takesGradient, spoiled);
  const describe = (text: string): string =>
    `${text}; ${takesGradient ? "gradient, " : ""}inputs ${Object.entries(made.inputs).map(([key, { shape }]) => `${key} [${shape.join(",")}]`).join(" ")}, ${JSON.stringify(made.settings)}, spoiled ${spoiled ?? "nothing"}`;
  if (actual.error !== undefined && !isExpected(actual.error)) return describe(`threw ${errorText(actual.error)}`);
  if (isLoose) return undefined;
  const expected = runOn("cpu", made, takesGradient, spoiled);
  if (actual.error !== undefined && expected.error === undefined) return describe(`threw ${errorText(actual.error)}, where cpu computes`);
  if (actual.error !== undefined || expected.error !== undefined) return undefined;
  for (const [i, values] of (actual.values ?? []).entries()) {
    const wanted = expected.values?.[i] ?? [];
    const at = values.findIndex((value, j) => !(value === wanted[j] || Math.abs(value - wanted[j]) <= 2e-4 + 2e-4 * Math.abs(wanted[j]) || (Number.isNaN(value) && Number.isNaN(wanted[j]))));
    if (values.length !== wanted.length || at >= 0) return describe(`output ${i} at ${at} is ${values[at]}, on cpu ${wanted[at]}`);
  }
  return undefined;
}

/** Typed errors of the toolkit, and tfjs's own about shapes, dtypes and disposed tensors. */
function isExpected(error: unknown): boolean {
  if (error instanceof MoeLabError) return error.code !== "E_NATIVE_ARGUMENT";
  return error instanceof Error && !(error instanceof RangeError) && !(error instanceof ReferenceError);
}

/** Puts NaN, infinities or impossible numbers into one input, or disposes of it. */
function spoil(chance: Chance, inputs: Record<string, Sample>): string {
  const name = chance.pick(Object.keys(inputs));
  if (chance.isTrue(0.2)) return `disposed ${name}`;
  const { values } = inputs[name];
  const wild = values instanceof Int32Array ? specialInts : specialFloats;
  for (let i = 0; i < values.length; i += 1) if (chance.isTrue(0.3)) values[i] = chance.pick(wild);
  return name;
}

function runOn(backend: string, made: FusedCase, takesGradient: boolean, spoiled: string | undefined): { error?: unknown; values?: (Float32Array | Int32Array | Uint8Array)[] } {
  void tf.setBackend(backend); // both are there already, so this takes effect at once
  try {
    return tf.tidy(() => {
      const inputs = Object.fromEntries(Object.entries(made.inputs).map(([key, sample]) => [key, tensorOf(sample)]));
      if (spoiled?.startsWith("disposed ") === true) inputs[spoiled.slice(9)].dispose();
      const outputs = takesGradient ? gradients(made, inputs) : made.run(inputs);
      return { values: outputs.map((tensor) => tensor.dataSync().slice()) };
    });
  } catch (error) {
    return { error };
  }
}

function gradients(made: FusedCase, inputs: Inputs): tf.Tensor[] {
  const loss = (...xs: tf.Tensor[]): tf.Tensor => {
    const outputs = made.run({ ...inputs, ...Object.fromEntries(made.differentiable.map((key, i) => [key, xs[i]])) });
    return tf.addN(outputs.map((output) => tf.sum(tf.mul(output, tf.sin(tf.reshape(tf.range(0, output.size), output.shape))))));
  };
  return tf.grads(loss)(made.differentiable.map((key) => inputs[key]));
}
