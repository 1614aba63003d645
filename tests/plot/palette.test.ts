import { describe, expect, test } from "vitest";
import { categoryColor, categoryColors, inkOn } from "../../toolkit/plot/palette.ts";

type Triple = [number, number, number];

function linear(hex: string): Triple {
  return [1, 3, 5].map((start) => {
    const channel = Number.parseInt(hex.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as Triple;
}

const multiply = (matrix: Triple[], vector: Triple): Triple => matrix.map((row) => row.reduce((sum, value, index) => sum + value * vector[index], 0)) as Triple;

/** Ottosson 2020, bottosson.github.io/posts/oklab */
function oklab(rgb: Triple): Triple {
  const cones = multiply([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]], rgb);
  return multiply(
    [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]],
    cones.map(Math.cbrt) as Triple,
  );
}

/** Machado et al. 2009, severity 1, on linear RGB. */
const sights: Record<string, Triple[]> = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanope: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranope: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
};

/** Smallest OKLab distance between any two colours as someone with this sight sees them. */
function smallestDistance(colors: readonly string[], sight: string): number {
  const seen = colors.map((color) => oklab(multiply(sights[sight], linear(color)).map((value) => Math.min(1, Math.max(0, value))) as Triple));
  return Math.min(...seen.flatMap((one, index) => seen.slice(0, index).map((other) => Math.hypot(...one.map((value, axis) => value - other[axis])))));
}

describe("expert colours", () => {
  // About 0.02 is a just noticeable difference in OKLab.
  test.each(Object.keys(sights))("of up to 8 experts differ clearly and of 64 noticeably for %s sight", (sight) => {
    expect(categoryColors).toHaveLength(64);
    expect(smallestDistance(categoryColors.slice(0, 8), sight)).toBeGreaterThan(0.07);
    expect(smallestDistance(categoryColors, sight)).toBeGreaterThan(0.03);
  });

  test("stand out on white and on black pages", () => {
    for (const color of categoryColors) {
      const [lightness] = oklab(linear(color));
      expect(lightness).toBeGreaterThan(0.4);
      expect(lightness).toBeLessThan(0.88);
    }
  });

  test("repeat beyond 64", () => {
    expect(categoryColor(64)).toBe(categoryColor(0));
  });
});

test("text on every expert colour has at least the contrast 4.5 that WCAG asks for", () => {
  const luminance = (color: string): number => { const [r, g, b] = linear(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; };
  for (const color of [...categoryColors, "#ffffff", "#000000"]) {
    const [one, other] = [luminance(color), luminance(inkOn(color))];
    expect(Math.max(one, other) / Math.min(one, other)).toBeGreaterThan(4.5);
  }
});
