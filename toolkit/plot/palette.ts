/** Colours of categories: experts, layers, series.
 *  The first six are Okabe and Ito's (jfly.uni-koeln.de/color). The rest were picked greedily, each the farthest in
 *  OKLab from all before it under the worst of normal, protanope and deuteranope sight (Machado et al. 2009), with
 *  lightness 0.42 to 0.86 so that they stand out on white and on black. So the first E colours always differ most,
 *  and 64 still differ; tests/plot/palette.test.ts checks the distances. */
export const categoryColors: readonly string[] = [
  "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7e2f38", "#66e6ba",
  "#424091", "#765c75", "#9f4a12", "#a1d0fd", "#97ba87", "#cdd369", "#778ce1", "#534664",
  "#acb9c3", "#667555", "#d38839", "#717884", "#22a2bd", "#854a4e", "#5282c1", "#6b4c90",
  "#888348", "#66b066", "#adc35e", "#8e3510", "#c1989e", "#8b5896", "#bac98e", "#66e1dd",
  "#be7e81", "#55c9e4", "#9072a3", "#66b1c5", "#61a1dc", "#e6a3a6", "#245da5", "#ad4d3c",
  "#469996", "#613878", "#b7535d", "#b37964", "#606d36", "#64424c", "#a0ccc0", "#88bafd",
  "#3294c0", "#317e6d", "#889ef6", "#e68a58", "#893c79", "#9c7c22", "#7b4532", "#f9b9a3",
  "#2f6e8c", "#665960", "#4f74c4", "#cc9873", "#80d0dc", "#67ac92", "#435771", "#a65706",
];

/** The colour of one category; beyond 64 they repeat.
 *  @param index ≥ 0 */
export function categoryColor(index: number): string {
  return categoryColors[index % categoryColors.length];
}

/** Colours for a value around a neutral middle: blue below, grey at it, orange-red above. Blue and orange stay apart
 *  under all common colour-vision deficiencies. */
export const divergingColors = { low: "#0b4f8a", belowMiddle: "#8fbce0", middle: "#eceff1", aboveMiddle: "#f0a868", high: "#a83c09" } as const;

/** Black or white, whichever has the higher contrast on a background.
 *  @param background "#rrggbb"
 *  Source: relative luminance and contrast ratio of WCAG 2.2 */
export function inkOn(background: string): "#000000" | "#ffffff" {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const channel = Number.parseInt(background.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  const contrastWithWhite = 1.05 / (luminance + 0.05);
  const contrastWithBlack = (luminance + 0.05) / 0.05;
  return contrastWithBlack >= contrastWithWhite ? "#000000" : "#ffffff";
}
