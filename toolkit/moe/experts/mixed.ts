import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import { withoutUnusedSlots, type DispatchPlan } from "../../ops/dispatch.ts";
import type { Experts } from "../experts.ts";
import { planOfGroup } from "./slots.ts";

/** Groups of experts, each of its own kind; the experts are numbered in the order of the groups. Each group sees the tokens
 *  that chose its experts, so a group keeps its fused op, and zero and copy experts move no rows. */
export class MixedExperts implements Experts {
  private readonly groups: readonly { readonly first: number; readonly count: number; readonly experts: Experts }[];

  /** @param groups in order */
  constructor(groups: readonly { readonly count: number; readonly experts: Experts }[]) {
    let first = 0;
    this.groups = groups.map((group) => {
      first += group.count;
      return { ...group, first: first - group.count };
    });
  }

  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D, context: ForwardContext): tf.Tensor2D {
    const bounds = offsets.dataSync<"int32">();
    const parts = this.groups.flatMap(({ first, count, experts }) => {
      const [begin, end] = [bounds[first], bounds[first + count]];
      if (begin === end) return [];
      const own = tf.tensor1d(bounds.subarray(first, first + count + 1).map((offset) => offset - begin), "int32");
      return [experts.apply(tf.slice(rows, [begin, 0], [end - begin, rows.shape[1]]), own, context)];
    });
    return parts.length === 0 ? tf.zerosLike(rows) : tf.concat(parts, 0);
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan, context: ForwardContext): tf.Tensor2D {
    const used = withoutUnusedSlots(plan);
    return tf.addN(this.groups.map(({ first, count, experts }) => experts.forward(x, weights, planOfGroup(used, first, count), context)));
  }
}
