export type { TextDataset } from "./dataset.ts";
export { loadMobyDick, type LoadMobyDickOptions } from "./mobyDick/index.ts";
export { makeTinyText } from "./tinyText/index.ts";
