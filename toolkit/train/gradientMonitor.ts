import type * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import { checkCount, checkWeight } from "../moe/config.ts";
import { globalNorm } from "../ops/adamw.ts";
import { refuseUnknownSettings } from "../moe/knownSettings.ts";

/** What follows a bad step. "record": only the event is recorded; "stop": train() throws; "skipStep": the weights stay as they
 *  are and the next batch follows; "rollBack": weights, moments and step return to the newest whole checkpoint, while the data
 *  goes on behind the bad batch. */
export const policies = ["record", "stop", "skipStep", "rollBack"] as const;
export type Policy = (typeof policies)[number];

/** What is watched in each step, and what is done about it. */
export interface MonitorConfig {
  /** for a loss or gradients that are NaN or infinite; such an update can't be made, so "record" is not among the choices */
  readonly onNotFinite: Exclude<Policy, "record">;
  /** for a spike of the loss or of the gradient norm */
  readonly onSpike: Policy;
  /** steps whose values a new one is compared with */
  readonly spikeWindow: number;
  /** 0 to 1; the quantile of the window that counts as usual */
  readonly spikeQuantile: number;
  /** a loss above this many times the quantile is a spike */
  readonly lossSpikeFactor: number;
  /** a gradient norm above this many times the quantile is a spike */
  readonly gradientSpikeFactor: number;
  /** skipped steps and roll-backs in a run; one more stops it */
  readonly maxInterventions: number;
  /** steps between measurements of each weight's gradient norm, which are recorded; 0 for none, and then dead layers aren't looked for */
  readonly gradientNormsEvery: number;
  /** a weight is dead when its gradient norm was at most this … */
  readonly deadNorm: number;
  /** … in every measurement over this many steps */
  readonly deadSteps: number;
}

export const defaultMonitor: MonitorConfig = {
  onNotFinite: "stop",
  onSpike: "record",
  spikeWindow: 100,
  spikeQuantile: 0.9,
  lossSpikeFactor: 2,
  gradientSpikeFactor: 10,
  maxInterventions: 10,
  gradientNormsEvery: 0,
  deadNorm: 1e-12,
  deadSteps: 100,
};

/** Fills in the defaults and checks every setting.
 *  @throws ConfigError E_CONFIG_* naming the setting */
export function monitorConfig(settings: Partial<MonitorConfig>): MonitorConfig {
  refuseUnknownSettings("monitor", settings, Object.keys(defaultMonitor));
  const whole = { ...defaultMonitor, ...settings };
  const choices: Record<"onNotFinite" | "onSpike", readonly Policy[]> = { onNotFinite: policies.filter((policy) => policy !== "record"), onSpike: policies };
  for (const name of ["onNotFinite", "onSpike"] as const) {
    const known = choices[name];
    if (!known.includes(whole[name])) throw new ConfigError({ code: "E_CONFIG_POLICY", what: `monitor.${name} is ${JSON.stringify(whole[name])}`, why: "there is no such policy here", fix: `use ${known.map((policy) => `"${policy}"`).join(", ")}` });
  }
  for (const name of ["spikeWindow", "deadSteps"] as const) checkCount(`monitor.${name}`, whole[name]);
  for (const name of ["maxInterventions", "gradientNormsEvery"] as const) checkCount(`monitor.${name}`, whole[name], 0);
  checkWeight("monitor.deadNorm", whole.deadNorm);
  for (const name of ["lossSpikeFactor", "gradientSpikeFactor"] as const) {
    if (!(whole[name] > 1)) throw new ConfigError({ code: "E_CONFIG_POSITIVE", what: `monitor.${name} is ${whole[name]}`, why: "a factor of 1 or less would find a spike in usual steps", fix: `leave it out for ${defaultMonitor[name]}` });
  }
  if (!(whole.spikeQuantile >= 0 && whole.spikeQuantile <= 1)) throw new ConfigError({ code: "E_CONFIG_WEIGHT", what: `monitor.spikeQuantile is ${whole.spikeQuantile}`, why: "a quantile lies between 0 and 1", fix: `leave it out for ${defaultMonitor.spikeQuantile}` });
  return whole;
}

/** Something that the monitor saw. */
export interface Finding {
  readonly event: "lossNotFinite" | "gradientNotFinite" | "lossSpike" | "gradientSpike" | "deadLayer";
  readonly action: Policy;
  /** in words */
  readonly what: string;
  /** the first weight with bad values, or the dead one */
  readonly weight?: string;
  /** loss or norm; null where it is not finite, as in JSON */
  readonly value: number | null;
  /** what the value was compared with */
  readonly threshold?: number;
}

/** What a monitor remembers from step to step; plain JSON. */
export type MonitorState = {
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
  /** by weight: the step of the first measurement in a row that found no gradient */
  readonly deadSince: Readonly<Record<string, number>>;
};

/** How many assignments each expert of a layer got. */
export interface LayerCounts {
  readonly layer: number;
  /** [E] */
  readonly counts: Float64Array;
}

/** Largest loss and gradient norm of a step whose update is to be made; both float32. */
export interface StepLimits {
  readonly lossNats: number;
  readonly gradientNorm: number;
}

/** Judges each step: limits() before its values are known, so that a device can hold back the update, the rest after. */
export class GradientMonitor {
  private readonly config: MonitorConfig;
  private losses: number[] = [];
  private gradientNorms: number[] = [];
  private deadSince = new Map<string, number>();

  constructor(config: MonitorConfig) {
    this.config = config;
  }

  /** What the next step's values must not exceed; NaN and infinity always do. */
  limits(): StepLimits {
    const { onSpike, lossSpikeFactor, gradientSpikeFactor } = this.config;
    const limit = (window: readonly number[], factor: number): number =>
      floatUpTo(Math.min(largestFloat, (onSpike === "record" ? undefined : this.spikeThreshold(window, factor)) ?? largestFloat));
    return { lossNats: limit(this.losses, lossSpikeFactor), gradientNorm: limit(this.gradientNorms, gradientSpikeFactor) };
  }

  /** @returns undefined for a usual step; its values then belong to what later ones are compared with */
  judgeLoss(lossNats: number): Finding | undefined {
    const { onNotFinite, onSpike, lossSpikeFactor } = this.config;
    if (!Number.isFinite(lossNats)) return { event: "lossNotFinite", action: onNotFinite, what: `the loss is ${lossNats}`, value: null };
    const spike = this.spikeIn("loss", lossNats, this.losses, lossSpikeFactor);
    if (!spike || onSpike === "record") this.remember(this.losses, lossNats);
    return spike && { event: "lossSpike", action: onSpike, ...spike };
  }

  /** @param norm global L2 norm of the gradients, before clipping */
  judgeGradients(norm: number, gradients: ReadonlyMap<string, tf.Tensor>): Finding | undefined {
    const { onNotFinite, onSpike, gradientSpikeFactor } = this.config;
    if (!Number.isFinite(norm)) {
      const bad = [...gradients].find(([, gradient]) => !Number.isFinite(valueOf(globalNorm([gradient]))));
      return { event: "gradientNotFinite", action: onNotFinite, what: `the gradient of ${bad?.[0] ?? "a weight"} holds NaN or infinite values`, weight: bad?.[0], value: null };
    }
    const spike = this.spikeIn("gradient norm", norm, this.gradientNorms, gradientSpikeFactor);
    if (!spike || onSpike === "record") this.remember(this.gradientNorms, norm);
    return spike && { event: "gradientSpike", action: onSpike, ...spike };
  }

  /** Whether the gradient norms of the weights are to be measured in this step. */
  measuresIn(step: number): boolean {
    const { gradientNormsEvery } = this.config;
    return gradientNormsEvery > 0 && step % gradientNormsEvery === 0;
  }

  /** Looks for dead weights, where this step is one to measure.
   *  @param gradientNorms of trained weights; one without a gradient has the norm 0
   *  @param expertCounts a weight of experts counts as dead only while every expert of its layer got tokens
   *  @returns the norms by weight, and what is newly dead */
  measure(step: number, weights: Iterable<string>, gradientNorms: ReadonlyMap<string, number>, expertCounts: readonly LayerCounts[]): { norms: Record<string, number>; findings: Finding[] } | undefined {
    const { gradientNormsEvery, deadNorm, deadSteps } = this.config;
    if (!this.measuresIn(step)) return undefined;
    const idleLayers = new Set(expertCounts.filter(({ counts }) => counts.includes(0)).map(({ layer }) => layer));
    const norms: Record<string, number> = {};
    const findings: Finding[] = [];
    for (const name of weights) {
      const norm = gradientNorms.get(name) ?? 0;
      norms[name] = norm;
      if (norm > deadNorm) { this.deadSince.delete(name); continue; }
      if (idleLayers.has(layerOfExperts(name))) continue;
      const since = this.deadSince.get(name) ?? step;
      this.deadSince.set(name, since);
      // Once, at the first measurement that completes the time.
      if (step - since >= deadSteps && step - gradientNormsEvery - since < deadSteps) {
        findings.push({ event: "deadLayer", action: "record", what: `${name} got no gradient in steps ${since} to ${step}`, weight: name, value: norm, threshold: deadNorm });
      }
    }
    return { norms, findings };
  }

  state(): MonitorState {
    return { losses: [...this.losses], gradientNorms: [...this.gradientNorms], deadSince: Object.fromEntries(this.deadSince) };
  }

  restore({ losses, gradientNorms, deadSince }: MonitorState): void {
    this.losses = losses.slice(-this.config.spikeWindow);
    this.gradientNorms = gradientNorms.slice(-this.config.spikeWindow);
    this.deadSince = new Map(Object.entries(deadSince));
  }

  private spikeIn(name: string, value: number, window: readonly number[], factor: number): Pick<Finding, "what" | "value" | "threshold"> | undefined {
    const threshold = this.spikeThreshold(window, factor);
    return threshold !== undefined && value > threshold ? { what: `the ${name} is ${value}, more than ${factor} times what is usual`, value, threshold } : undefined;
  }

  /** undefined while fewer values are known than a quantile needs to say something */
  private spikeThreshold(window: readonly number[], factor: number): number | undefined {
    return window.length < Math.ceil(this.config.spikeWindow / 4) ? undefined : factor * quantile(window, this.config.spikeQuantile);
  }

  private remember(window: number[], value: number): void {
    window.push(value);
    if (window.length > this.config.spikeWindow) window.shift();
  }
}

/** Largest finite float32. */
const largestFloat = (2 - 2 ** -23) * 2 ** 127;

/** The largest float32 that is not above a positive value: a float32 exceeds both or neither. */
function floatUpTo(value: number): number {
  const nearest = Float32Array.of(value);
  if (nearest[0] > value) new Uint32Array(nearest.buffer)[0] -= 1;
  return nearest[0];
}

function valueOf(scalar: tf.Scalar): number {
  const [value] = scalar.dataSync<"float32">();
  scalar.dispose();
  return value;
}

/** The layer whose experts a weight belongs to; −1 for any other weight. */
function layerOfExperts(name: string): number {
  const match = /^layers\.(\d+)\.moe\.experts\./.exec(name);
  return match ? Number(match[1]) : -1;
}

/** The value with the given share of the sorted values at or below it, nearest rank. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
