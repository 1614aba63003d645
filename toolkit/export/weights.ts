import * as tf from "@tensorflow/tfjs-core";
import { FileFormatError } from "../errors.ts";
import type { NamedArray } from "./safetensors.ts";

/** Copies float32 variables off the backend. */
export function readVariables(variables: ReadonlyMap<string, tf.Variable>): Map<string, NamedArray> {
  const arrays = new Map<string, NamedArray>();
  // A copy, because the CPU backends hand out their live array and training goes on.
  for (const [name, variable] of variables) arrays.set(name, { dtype: "float32", shape: variable.shape, data: Float32Array.from(variable.dataSync<"float32">()) });
  return arrays;
}

/** Sets every variable from the array of its name.
 *  @param file name for error texts
 *  @throws FileFormatError E_WEIGHTS_MISMATCH when a weight is missing, left over or of another shape; nothing is set then */
export function assignVariables(variables: ReadonlyMap<string, tf.Variable>, arrays: ReadonlyMap<string, NamedArray>, file: string): void {
  const problems: string[] = [];
  for (const [name, variable] of variables) {
    const array = arrays.get(name);
    if (!array) problems.push(`${name} is missing`);
    else if (!tf.util.arraysEqual([...array.shape], variable.shape)) problems.push(`${name} is [${array.shape.join(", ")}] instead of [${variable.shape.join(", ")}]`);
    else if (array.dtype !== "float32") problems.push(`${name} is ${array.dtype} instead of float32`);
  }
  for (const name of arrays.keys()) if (!variables.has(name)) problems.push(`${name} is not a weight of this model`);
  if (problems.length > 0) {
    throw new FileFormatError({
      code: "E_WEIGHTS_MISMATCH", what: `${file} doesn't fit the model: ${problems.slice(0, 5).join("; ")}${problems.length > 5 ? `; and ${problems.length - 5} more` : ""}`,
      why: "every weight has to be there once, with the shape that the config gives", fix: "use the config that the file was written with",
    });
  }
  for (const [name, array] of arrays) {
    const value = tf.tensor(array.data, [...array.shape], "float32");
    variables.get(name)?.assign(value);
    value.dispose();
  }
}
