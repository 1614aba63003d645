import type { Axis } from "./plotlyTypes.ts";

/** Expert numbers from 0: ticks on whole numbers, at most about 20. */
export function expertAxis(numExperts: number): Axis {
  return { title: { text: "expert" }, showgrid: false, zeroline: false, tick0: 0, dtick: Math.max(1, Math.ceil(numExperts / 20)) };
}

/** Layers by name, as a figure may show only some of them (0, 7, 15): values on it are strings. */
export function layerAxis(): Axis {
  return { title: { text: "layer" }, type: "category", showgrid: false, zeroline: false };
}
