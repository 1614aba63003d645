/** Every op of toolkit/ops at the sizes of a training step: forward, and forward with backward. */
import * as tf from "@tensorflow/tfjs-core";
import { adamwStep } from "../../../toolkit/ops/adamw.ts";
import { adamwInputs, adamwSettings, attentionInputs, everyExpert, layerNormInputs, moeInputs, projectionInputs, rmsNormInputs, type Inputs } from "../../../toolkit/ops/opInputs.ts";
import { choices, exactly, floats, integers, sizeOf, type OpDescription, type OpSample } from "../../../toolkit/ops/opSample.ts";
import { opTable } from "../../../toolkit/ops/opTable.ts";
import { report } from "../report.ts";
import { madeByKernel } from "./inputs.ts";
import { inTurns, timed } from "./timing.ts";

const rounds = 7;
/** Below that many operations a byte, memory decides and GB/s say more than GFLOP/s. */
const flopsPerByte = 8;

/** B rows of T tokens; the rest as in docs/architecture.md. */
const [B, T, C, H, E, K, V, heads] = [8, 256, 256, 512, 8, 2, 8192, 8];
const N = B * T;
const ids = choices(N, K, everyExpert(E), 90);

/** Inputs of a training step of that size; an op that isn't here is run on its own large sample. */
const stepInputs: Readonly<Record<string, Inputs>> = {
  rmsNorm: rmsNormInputs([N, C]),
  addRmsNorm: { ...rmsNormInputs([N, C]), added: floats([N, C], 91) },
  layerNorm: layerNormInputs([N, C]),
  rotary: { x: floats([B, T, heads, C / heads], 92) },
  queryKeyValue: projectionInputs([N, C, C, C, C]),
  attention: attentionInputs([B, T, T, heads, heads, C / heads]),
  routeTopK: { logits: floats([N, E], 93, 4) },
  planDispatch: { ids }, selectExperts: { scores: floats([N, E], 110), bias: floats([E], 111) }, chosenScores: { scores: floats([N, E], 112), ids }, countChoices: { ids },
  limitChoices: { ids, weights: floats([N, K], 113) },
  dispatch: { x: floats([N, C], 94), ids },
  groupedMatmul: { rows: floats([N * K, C], 95), weights: floats([E, C, H], 96), offsets: exactly([E + 1], everyExpert(E + 1).map((e) => (e * N * K) / E)) },
  combine: { rows: floats([N * K, C], 97), weights: floats([N, K], 98), ids },
  expertFeedForward: moeInputs([N, C, H, E, K], ids),
  crossEntropy: { logits: floats([N, V], 99, 4), targets: integers([N], 100, V) },
  balanceLoss: { ids, probabilities: floats([N, E], 101) },
  zLoss: { logits: floats([N, E], 102, 4) },
  embedding: { table: floats([V, C], 103), ids: integers([N], 104, V) },
  adamwStep: adamwInputs([2 * V, C]),
  toStorage: { x: floats([N, C], 105, 3) },
  globalNorm: { a: floats([V, C], 106), b: floats([V, C], 107) },
};
const stepSettings: Readonly<Record<string, OpSample["settings"]>> = {
  routeTopK: { expertsPerToken: K, renormalize: true }, planDispatch: { numExperts: E }, selectExperts: { expertsPerToken: K },
  countChoices: { numExperts: E, batchSize: 1 }, limitChoices: { numExperts: E, capacity: (N * K) / E }, dispatch: { numExperts: E }, combine: { numExperts: E },
};

/** The work of an op, forward and with backward; adamwStep changes its variables in place, as in training. */
function worksOf(op: OpDescription, { settings }: OpSample, inputs: Record<string, tf.Tensor>): { forward: () => void; both?: () => void } {
  if (op.name === "adamwStep") {
    const [value, firstMoment, secondMoment] = [inputs.value, inputs.firstMoment, tf.square(inputs.secondMoment)].map((x) => tf.tidy(() => tf.variable(tf.mul(x, 1))));
    const parameters = [{ value, gradient: inputs.gradient, firstMoment, secondMoment, weightDecay: adamwSettings.weightDecay }];
    return { forward: () => { adamwStep(parameters, adamwSettings); } };
  }
  const forward = (): void => { op.run(inputs, settings); };
  if (op.differentiableOutputs.length === 0) return { forward };
  const dys = tf.tidy(() => {
    const outputs = op.run(inputs, settings);
    return op.differentiableOutputs.map((o) => tf.neg(outputs[o]));
  });
  // One number of all outputs, which costs nothing and whose gradients are the dys.
  const join = tf.customGrad(() => ({ value: tf.scalar(0), gradFunc: () => dys.map((dy) => dy.clone()) }));
  const gradients = tf.grads((...xs: tf.Tensor[]) => {
    const outputs = op.run({ ...inputs, ...Object.fromEntries(op.differentiable.map((name, i) => [name, xs[i]])) }, settings);
    return join(...op.differentiableOutputs.map((o) => outputs[o]));
  });
  const xs = op.differentiable.map((name) => inputs[name]);
  return { forward, both: () => { gradients(xs); } };
}

/** Bytes read and written if everything is touched once: inputs and outputs; backward the inputs again, the outputs'
 *  gradients and those of the inputs. */
function bytesMoved(op: OpDescription, sample: OpSample, inputs: Record<string, tf.Tensor>): { forward: number; both: number } {
  return tf.tidy(() => {
    const bytes = (tensors: readonly tf.Tensor[]): number => tensors.reduce((sum, { size }) => sum + 4 * size, 0);
    const outputs = op.run(inputs, sample.settings), given = Object.values(inputs);
    const forward = op.name === "adamwStep" ? bytes([...given, inputs.value, inputs.value, inputs.value]) : bytes([...given, ...outputs]);
    const differentiable = op.differentiable.map((name) => inputs[name]);
    return { forward, both: forward + bytes(given) + bytes(differentiable) + bytes(op.differentiableOutputs.map((o) => outputs[o])) };
  });
}

function benchOp(op: OpDescription, filter: string): void {
  const inputs = stepInputs[op.name] ?? op.largeSample.inputs;
  const sample: OpSample = { ...op.largeSample, inputs, settings: stepSettings[op.name] ?? op.largeSample.settings };
  const shapes = Object.values(inputs).filter(({ shape }) => sizeOf(shape) > 1).map(({ shape }) => `[${shape.join(", ")}]`).slice(0, 2).join(" ");
  const names = { forward: `${op.name} ${shapes}, forward`, both: `${op.name} ${shapes}, forward and backward` };
  if (!Object.values(names).some((name) => name.includes(filter))) return;
  tf.engine().startScope();
  const tensors = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, madeByKernel(input)]));
  const works = worksOf(op, sample, tensors), bytes = bytesMoved(op, sample, tensors), flops = op.flops(sample);
  // A backward pass counts as two forward ones: each product has two gradients.
  for (const [kind, work, factor] of [["forward", works.forward, 1], ["both", works.both, 3]] as const) {
    if (work === undefined) continue;
    const [ms] = inTurns(rounds, [timed(() => { tf.tidy(work); })]);
    const isProduct = flops / bytes.forward >= flopsPerByte;
    const rates = ms.map((time) => (isProduct ? factor * flops : bytes[kind]) / time / 1e6);
    const median = [...ms].sort((a, b) => a - b)[Math.floor(rounds / 2)];
    report("ops", names[kind], isProduct ? "GFLOP/s" : "GB/s", rates, { ms: Number(median.toPrecision(4)) });
  }
  tf.engine().endScope();
}

/** One line for each op of opTable.ts and direction whose name holds `filter`. */
export function benchEveryOp(filter: string): void {
  for (const op of opTable) benchOp(op, filter);
}
