import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { runKernel } from "./runKernel.ts";
import { checkRange, checkShapes } from "./shapes.ts";

/** Where each assignment goes: slots are assignments sorted by expert, in token order inside an expert. There are
 *  S ≤ N·K of them: a choice may reach no expert. On a device, which alone knows how many, S is N·K, and the slots from
 *  offsets[E] on are unused: their rows are undefined and count nowhere. None of the tensors carries a gradient. */
export interface DispatchPlan {
  /** Slots of expert e are offsets[e] ≤ s < offsets[e + 1]; [E + 1] int32. */
  readonly offsets: tf.Tensor1D;
  /** Token of slot s, 0 of an unused one; [S] int32. */
  readonly slotToken: tf.Tensor1D;
  /** Slot of choice k of token n, −1 where it reaches no expert; [N, K] int32. */
  readonly tokenSlot: tf.Tensor2D;
}

/** Sorts the assignments by expert, stably, so that a run repeats bit for bit: a counting sort.
 *  @param ids chosen experts, [N, K] int32, each from 0 to E − 1, or −1 for no expert
 *  @throws ShapeError, DataError E_INDEX_RANGE */
export function planDispatch(ids: tf.Tensor, numExperts: number): DispatchPlan {
  const { N, K } = checkShapes("planDispatch", { ids: [ids, "N K", "int32"] });
  if (hasNativeKernel("PlanDispatch")) {
    const attrs: PlanDispatchAttrs = { ids, E: numExperts };
    const [offsets, slotToken, tokenSlot] = runKernel<[tf.Tensor1D, tf.Tensor1D, tf.Tensor2D]>("PlanDispatch", {}, attrs);
    return { offsets, slotToken, tokenSlot };
  }
  const expertOf = ids.dataSync<"int32">();
  checkExperts(expertOf, numExperts);
  const offsets = new Int32Array(numExperts + 1);
  for (const e of expertOf) if (e >= 0) offsets[e + 1]++;
  for (let e = 0; e < numExperts; e++) offsets[e + 1] += offsets[e];
  const nextSlot = offsets.slice(0, numExperts);
  const slotToken = new Int32Array(offsets[numExperts]);
  const tokenSlot = new Int32Array(N * K).fill(-1);
  for (let i = 0; i < N * K; i++) {
    if (expertOf[i] < 0) continue;
    const slot = nextSlot[expertOf[i]]++;
    slotToken[slot] = Math.floor(i / K);
    tokenSlot[i] = slot;
  }
  return {
    offsets: tf.tensor1d(offsets, "int32"),
    slotToken: tf.tensor1d(slotToken, "int32"),
    tokenSlot: tf.tensor2d(tokenSlot, [N, K], "int32"),
  };
}

function checkExperts(ids: Int32Array, numExperts: number): void {
  checkRange("planDispatch", "ids", ids, numExperts, (i) => ids[i] !== -1);
}

/** The plan without unused slots, for ops that look at every row. Waits for a device where some may be unused; on the host a plan
 *  has none. */
export function withoutUnusedSlots(plan: DispatchPlan): DispatchPlan {
  const { offsets, slotToken, tokenSlot } = plan;
  if (slotToken.size < tokenSlot.size || slotToken.size === 0) return plan;
  const used = offsets.dataSync<"int32">()[offsets.size - 1];
  return used === slotToken.size ? plan : { ...plan, slotToken: tf.slice(slotToken, [0], [used]) };
}

interface PlanDispatchAttrs {
  /** Not an input of the kernel: a plan carries no gradient, wherever the ids come from. */
  readonly ids: tf.Tensor;
  readonly E: number;
}

registerNativeKernel<PlanDispatchAttrs>("PlanDispatch", ({ attrs: { ids, E }, backend, native }) => {
  const [N, K] = ids.shape;
  const host = backend.hostValues(ids, "int32");
  if (host) checkExperts(host, E);
  const offsets = backend.allocate("int32", E + 1);
  const slotToken = backend.allocate("int32", N * K);
  const tokenSlot = backend.allocate("int32", N * K);
  native.planDispatch(N, K, E, backend.ints(ids), offsets, slotToken, tokenSlot);
  // On the host the number of slots is known by now.
  const S = offsets instanceof Int32Array ? offsets[E] : N * K;
  const plan = [backend.output([E + 1], "int32", offsets), backend.output([N, K], "int32", tokenSlot)];
  if (slotToken instanceof Int32Array && S < N * K) {
    const used = slotToken.slice(0, S);
    backend.release(slotToken);
    return [plan[0], backend.fromHost([S], "int32", used), plan[1]];
  }
  return [plan[0], backend.output([S], "int32", slotToken), plan[1]];
});

/** Copies the row of each token to its slots: rows[s] = x[slotToken[s]].
 *  @param x [N, C] float32
 *  @returns [S, C]; differentiable in x
 *  @throws ShapeError */
export function dispatch(x: tf.Tensor, plan: DispatchPlan): tf.Tensor2D {
  checkShapes("dispatch", { x: [x, "N C"], tokenSlot: [plan.tokenSlot, "N K", "int32"], slotToken: [plan.slotToken, "S", "int32"] });
  if (!hasNativeKernel("Dispatch")) return composedDispatch(x, plan);
  return runKernel<tf.Tensor2D>("Dispatch", { x, slotToken: plan.slotToken, tokenSlot: plan.tokenSlot }, {});
}

/** dispatch out of tfjs ops. The gradient sums the K rows of each token: a gather, where tfjs itself would compare
 *  every segment with every row. */
function composedDispatch(x: tf.Tensor, plan: DispatchPlan): tf.Tensor2D {
  const gather = tf.customGrad((source, save) => {
    (save as tf.GradSaveFunc)([plan.tokenSlot]);
    return {
      value: tf.gather(source as tf.Tensor, plan.slotToken),
      gradFunc: (dy: tf.Tensor, [tokenSlot]: tf.Tensor[]) => tf.sum(slotRows(dy, tokenSlot as tf.Tensor2D), 1),
    };
  });
  return gather(x) as tf.Tensor2D;
}

/** Rows [S, C] by token: [N, K, C], zeros where a choice has no slot. */
export function slotRows(rows: tf.Tensor, tokenSlot: tf.Tensor2D): tf.Tensor3D {
  const [N, K] = tokenSlot.shape, [S, C] = rows.shape;
  const slots = tf.reshape(tokenSlot, [N * K]);
  if (S === N * K) return tf.reshape(tf.gather(rows, slots), [N, K, C]);
  const padded = tf.concat([rows as tf.Tensor2D, tf.zeros([1, C])], 0); // row S is what slot −1 reads
  return tf.reshape(tf.gather(padded, tf.where(tf.less(slots, 0), tf.fill([N * K], S, "int32"), slots)), [N, K, C]);
}

registerNativeKernel("Dispatch", ({ inputs: { x, slotToken }, backend, native }) => {
  const [N, C] = x.shape;
  const [S] = slotToken.shape;
  const rows = backend.allocate("float32", S * C);
  native.gatherRows(N, S, C, backend.floats(x), backend.ints(slotToken), rows);
  return backend.activation([S, C], "float32", rows);
});

registerNativeKernel("DispatchGradient", ({ inputs: { dy, tokenSlot }, backend, native }) => {
  const [N, K] = tokenSlot.shape;
  const [S, C] = dy.shape;
  const dx = backend.allocate("float32", N * C);
  native.combineRows(N, K, S, C, backend.floats(dy), null, backend.ints(tokenSlot), dx);
  return backend.output([N, C], "float32", dx);
});

tf.registerGradient({
  kernelName: "Dispatch",
  inputsToSave: ["tokenSlot"],
  gradFunc: (dy, [tokenSlot]) => ({ x: () => runKernel("DispatchGradient", { dy: dy as tf.Tensor, tokenSlot }, {}) }),
});
