import type { TrainOptions } from "./trainer.ts";
import { liveDisplay, type LiveDisplay } from "../plot/live.ts";
import { displaySymbol, type Displayable } from "../plot/notebook.ts";
import { ProgressBar } from "../plot/progress.ts";
import { trainingProgress, type LossPoint } from "../plot/trainingProgress.ts";

/** Most points of the loss curve; each is the mean over equally many steps. More would slow the page, not inform. */
const maxPoints = 200;
/** Shares of single batches are noisy: the heatmap shows the mean over this many steps. */
const loadWindowSteps = 20;

/** Shows a run while it goes: a progress bar and one figure with losses and expert load. In a terminal the bar alone.
 *  Use: `await train(model, data, recipe, { ...watchTraining() })`. */
export function watchTraining(): Required<Pick<TrainOptions, "onStep" | "onEvaluation" | "onEvent" | "onEnd">> {
  let bar: ProgressBar | undefined, figure: LiveDisplay | undefined, totalSteps = 0;
  const losses: LossPoint[] = [];
  const validation: LossPoint[] = [];
  const recentLoads: (readonly (readonly number[])[])[] = [];
  /** of each row of a load: dense layers have none */
  let layers: readonly number[] = [];

  // Drawn when it is shown, which is more seldom than a step.
  const picture: Displayable = {
    [displaySymbol]: () => trainingProgress({
      training: meanPoints(losses), validation,
      load: (recentLoads[0] ?? []).flatMap((load, row) => load.map((_, expert) => ({
        layer: layers[row], expert, share: recentLoads.reduce((sum, loads) => sum + loads[row][expert], 0) / recentLoads.length,
      }))),
    }, { totalSteps })[displaySymbol](),
  };

  return {
    onStep: ({ step, lossNats, tokensPerSecond, expertLoad, routers }, { steps }) => {
      totalSteps = steps;
      layers = routers.map(({ layer }) => layer);
      bar ??= new ProgressBar({ total: steps, label: "training", unit: "steps" });
      bar.update(step, { lossNats, tokensPerSecond });
      // After a roll-back steps come again.
      while (losses.length > 0 && losses[losses.length - 1].step >= step) losses.pop();
      losses.push({ step, lossNats });
      recentLoads.push(expertLoad);
      if (recentLoads.length > loadWindowSteps) recentLoads.shift();
      if (figure) figure.update(picture);
      else figure = liveDisplay(picture, { minIntervalMs: 1000 });
    },
    onEvaluation: ({ step, validationLossNats }) => {
      validation.push({ step, lossNats: validationLossNats });
      bar?.update(step, { validationLossNats });
      figure?.update(picture);
    },
    onEvent: ({ step, event, action }) => { bar?.update(bar.done, { note: `${event} in step ${step}${action === undefined ? "" : ` (${action})`}` }); },
    onEnd: async () => {
      await bar?.close();
      await figure?.close();
    },
  };
}

/** At most maxPoints means over equally many neighbouring steps, each at the last of its steps. */
function meanPoints(losses: readonly LossPoint[]): LossPoint[] {
  const stride = Math.ceil(losses.length / maxPoints);
  const points: LossPoint[] = [];
  for (let end = stride; end <= losses.length; end += stride) {
    const part = losses.slice(end - stride, end);
    points.push({ step: part[stride - 1].step, lossNats: part.reduce((sum, { lossNats }) => sum + lossNats, 0) / stride });
  }
  return points;
}
