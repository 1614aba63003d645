import { crc32, deflateSync } from "node:zlib";

/** The logo's shapes in a square of 64 units, painted in order: a router that sends a token to two of four experts. */
type Shape =
  | { readonly kind: "square"; readonly radius: number; readonly color: Color }
  | { readonly kind: "line"; readonly from: Point; readonly to: Point; readonly width: number; readonly color: Color }
  | { readonly kind: "disc"; readonly at: Point; readonly radius: number; readonly color: Color };
type Point = readonly [x: number, y: number];
/** Red, green, blue, each 0 to 255. */
type Color = readonly [number, number, number];

const SIZE = 64;
const GROUND: Color = [36, 75, 138];
const IDLE: Color = [108, 140, 190];
const CHOSEN: Color = [255, 255, 255];
const TOKEN: Color = [255, 196, 77];
const ROUTER: Point = [25, 32];
const EXPERTS: readonly { readonly at: Point; readonly isChosen: boolean }[] = [
  { at: [50, 10.5], isChosen: false }, { at: [50, 25], isChosen: true }, { at: [50, 39.5], isChosen: false }, { at: [50, 54], isChosen: true },
];

function shapes(): Shape[] {
  const idleFirst = [...EXPERTS].sort((a, b) => Number(a.isChosen) - Number(b.isChosen));
  return [
    { kind: "square", radius: 13, color: GROUND },
    ...idleFirst.map(({ at, isChosen }): Shape => ({ kind: "line", from: ROUTER, to: at, width: isChosen ? 3.6 : 2.6, color: isChosen ? CHOSEN : IDLE })),
    { kind: "line", from: [9, 32], to: ROUTER, width: 3.6, color: TOKEN },
    { kind: "disc", at: [9.5, 32], radius: 4.2, color: TOKEN },
    { kind: "disc", at: ROUTER, radius: 7, color: CHOSEN },
    ...EXPERTS.map(({ at, isChosen }): Shape => ({ kind: "disc", at, radius: 5.4, color: isChosen ? CHOSEN : IDLE })),
  ];
}

/** The logo as SVG. */
export function logoSvg(): string {
  const parts = shapes().map((shape) => {
    const color = `rgb(${shape.color.join(",")})`;
    switch (shape.kind) {
      case "square": return `<rect width="${SIZE}" height="${SIZE}" rx="${shape.radius}" fill="${color}"/>`;
      case "disc": return `<circle cx="${shape.at[0]}" cy="${shape.at[1]}" r="${shape.radius}" fill="${color}"/>`;
      case "line": {
        const [[x1, y1], [x2, y2]] = [shape.from, shape.to];
        return `<path d="M${x1} ${y1}L${x2} ${y2}" stroke="${color}" stroke-width="${shape.width}" stroke-linecap="round"/>`;
      }
    }
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE}">\n${parts.join("\n")}\n</svg>\n`;
}

/** Each pixel is the mean of so many samples in each direction. */
const SAMPLES = 4;

/** The logo as PNG with transparent corners, `pixels` wide and high. */
export function logoPng(pixels: number): Buffer {
  const painted = shapes();
  const rows = Array.from({ length: pixels }, (_, row) => {
    // A PNG row starts with its filter, here none.
    const bytes = Buffer.alloc(1 + 4 * pixels);
    for (let column = 0; column < pixels; column++) bytes.set(pixelColor(painted, column, row, SIZE / pixels), 1 + 4 * column);
    return bytes;
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(pixels, 0);
  header.writeUInt32BE(pixels, 4);
  header.set([8, 6, 0, 0, 0], 8); // 8 bits a channel, RGBA, no interlace
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk("IHDR", header), pngChunk("IDAT", deflateSync(Buffer.concat(rows), { level: 9 })), pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** @param unit units of the design a pixel
 *  @returns red, green, blue, alpha */
function pixelColor(painted: readonly Shape[], column: number, row: number, unit: number): [number, number, number, number] {
  let [red, green, blue, covered] = [0, 0, 0, 0];
  for (let sample = 0; sample < SAMPLES * SAMPLES; sample++) {
    const x = (column + ((sample % SAMPLES) + 0.5) / SAMPLES) * unit;
    const y = (row + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES) * unit;
    const top = painted.findLast((shape) => covers(shape, x, y));
    if (top === undefined) continue;
    covered++;
    red += top.color[0];
    green += top.color[1];
    blue += top.color[2];
  }
  if (covered === 0) return [0, 0, 0, 0];
  return [red / covered, green / covered, blue / covered, 255 * covered / SAMPLES ** 2];
}

function covers(shape: Shape, x: number, y: number): boolean {
  switch (shape.kind) {
    case "disc": return Math.hypot(x - shape.at[0], y - shape.at[1]) <= shape.radius;
    case "square": {
      const beyond = (position: number): number => Math.max(shape.radius - position, position - (SIZE - shape.radius), 0);
      return Math.hypot(beyond(x), beyond(y)) <= shape.radius;
    }
    case "line": {
      const [[x1, y1], [x2, y2]] = [shape.from, shape.to];
      const along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2);
      const nearest = Math.min(1, Math.max(0, along));
      return Math.hypot(x - x1 - nearest * (x2 - x1), y - y1 - nearest * (y2 - y1)) <= shape.width / 2;
    }
  }
}

/** Source: www.w3.org/TR/png-3/#5Chunk-layout */
function pngChunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const content = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, check]);
}
