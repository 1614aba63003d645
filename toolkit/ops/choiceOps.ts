import { chosenScores } from "./chosenScores.ts";
import { countChoices } from "./countChoices.ts";
import { limitChoices } from "./limitChoices.ts";
import { everyExpert, type Inputs } from "./opInputs.ts";
import { choices, exactly, floats, sizeOf, type ErrorBound, type OpDescription, type OpSample } from "./opSample.ts";
import { selectExperts } from "./selectExperts.ts";

/** Nothing is rounded; a gradient is the output's at its place. */
const exact: ErrorBound = { forward: { absolute: 0, relative: 0 }, gradient: { absolute: 1e-6, relative: 1e-6 }, reason: "values are chosen, copied and counted" };

const sample = (label: string, inputs: Inputs, settings: OpSample["settings"] = {}): OpSample => ({ label, inputs, settings });
const someIds = exactly([4, 2], [2, -1, -1, -1, 0, 2, -1, 0]);
const noGradient = { differentiable: [], differentiableOutputs: [], errorBound: exact, flops: () => 0 } as const;

/** What routers choose with, for opTable. */
export const choiceOps: readonly OpDescription[] = [
  {
    name: "selectExperts",
    samples: [
      sample("two of five", { scores: floats([6, 5], 120) }, { expertsPerToken: 2 }),
      sample("with a bias", { scores: floats([6, 5], 121), bias: floats([5], 122) }, { expertsPerToken: 3 }),
      sample("from the best group of three", { scores: floats([7, 6], 123) }, { expertsPerToken: 2, numGroups: 3, groupsPerToken: 1, summed: 2 }),
      sample("more than a token's groups have", { scores: floats([3, 6], 124), bias: floats([6], 125) }, { expertsPerToken: 3, numGroups: 3, groupsPerToken: 1, summed: 1 }),
    ],
    largeSample: sample("1000 tokens", { scores: floats([1000, 64], 126), bias: floats([64], 127) }, { expertsPerToken: 6, numGroups: 8, groupsPerToken: 4, summed: 2 }),
    run: ({ scores, bias }, { expertsPerToken, numGroups, groupsPerToken, summed }) => [selectExperts(scores, Number(expertsPerToken), {
      ...(bias && { bias }),
      ...(numGroups !== undefined && { groups: { numGroups: Number(numGroups), groupsPerToken: Number(groupsPerToken), summed: summed === 2 ? 2 : 1 } }),
    })],
    ...noGradient,
  },
  {
    name: "chosenScores",
    samples: [
      sample("two of four", { scores: floats([5, 4], 128), ids: choices(5, 2, everyExpert(4), 129) }),
      sample("choices without an expert", { scores: floats([4, 3], 130), ids: someIds }),
    ],
    largeSample: sample("1000 tokens", { scores: floats([1000, 37], 131), ids: choices(1000, 4, [-1, ...everyExpert(37)], 132) }),
    run: ({ scores, ids }) => [chosenScores(scores, ids)],
    differentiable: ["scores"], differentiableOutputs: [0], errorBound: exact, flops: ({ inputs }) => sizeOf(inputs.ids.shape),
  },
  {
    name: "countChoices",
    samples: [
      sample("all together", { ids: someIds }, { numExperts: 3, batchSize: 1 }),
      sample("two rows", { ids: someIds, tokenMask: { shape: [4], dtype: "float32", values: Float32Array.of(1, 0, 1, 0) } }, { numExperts: 4, batchSize: 2 }),
    ],
    largeSample: sample("3000 tokens", { ids: choices(3000, 4, [-1, ...everyExpert(64)], 133) }, { numExperts: 64, batchSize: 3 }),
    run: ({ ids, tokenMask }, { numExperts, batchSize }) => [countChoices(ids, Number(numExperts), { ...(tokenMask && { tokenMask }), batchSize: Number(batchSize) })],
    ...noGradient,
  },
  {
    name: "limitChoices",
    samples: [
      sample("the earliest stay", { ids: choices(6, 2, everyExpert(3), 134) }, { numExperts: 3, capacity: 2 }),
      sample("the largest weights stay", { ids: choices(9, 2, everyExpert(3), 135), weights: floats([9, 2], 136) }, { numExperts: 3, capacity: 3 }),
      sample("none fits", { ids: someIds, weights: floats([4, 2], 137) }, { numExperts: 3, capacity: 0 }),
    ],
    largeSample: sample("3000 tokens", { ids: choices(3000, 2, everyExpert(16), 138), weights: floats([3000, 2], 139) }, { numExperts: 16, capacity: 300 }),
    run: ({ ids, weights }, { numExperts, capacity }) => [limitChoices(ids, Number(numExperts), Number(capacity), weights)],
    ...noGradient,
  },
];
