import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { sizeOf } from "./shape.ts";

interface Operand {
  readonly input: TensorInfo;
}

/** Complex numbers, real and imaginary parts apart, in float64. */
class Complexes {
  readonly re: Float64Array;
  readonly im: Float64Array;

  constructor(length: number) {
    this.re = new Float64Array(length);
    this.im = new Float64Array(length);
  }
}

/** The discrete Fourier transform of each row, or its inverse, on the host; tfjs's own kernel takes a tensor for every element. */
function transform({ inputs: { input }, backend }: NativeCall<unknown, Operand>, isInverse: boolean): TensorInfo {
  const parts = backend.data.get(input.dataId).complexTensorInfos;
  const size = sizeOf(input.shape);
  const length = input.shape.at(-1) ?? 1;
  const [re, im] = [new Float32Array(size), new Float32Array(size)];
  if (parts !== undefined && size > 0) transformRows(backend.hostCopy(parts.real, "float32"), backend.hostCopy(parts.imag, "float32"), length, isInverse, re, im);
  const result = backend.makeTensorInfo(input.shape, "complex64");
  backend.data.get(result.dataId).complexTensorInfos = {
    real: backend.fromHost(input.shape, "float32", re), imag: backend.fromHost(input.shape, "float32", im),
  };
  return result;
}

function transformRows(real: Float32Array, imaginary: Float32Array, length: number, isInverse: boolean, re: Float32Array, im: Float32Array): void {
  const row = new Complexes(length);
  const fourier = length === 2 ** Math.round(Math.log2(length)) ? radix2(length) : chirp(length);
  const scale = isInverse ? 1 / length : 1;
  for (let start = 0; start < real.length; start += length) {
    row.re.set(real.subarray(start, start + length));
    row.im.set(imaginary.subarray(start, start + length));
    // the inverse is the transform with real and imaginary parts exchanged
    fourier(isInverse ? row.im : row.re, isInverse ? row.re : row.im);
    for (let i = 0; i < length; i += 1) {
      re[start + i] = row.re[i] * scale;
      im[start + i] = row.im[i] * scale;
    }
  }
}

type Fourier = (re: Float64Array, im: Float64Array) => void;

/** In place, for a power of two. Source: Cooley and Tukey 1965, doi:10.1090/S0025-5718-1965-0178586-1 */
function radix2(length: number): Fourier {
  const cosine = Float64Array.from({ length: length / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / length));
  const sine = Float64Array.from({ length: length / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / length));
  const mirrored = new Int32Array(length); // each place with its bits in reverse
  for (let i = 1; i < length; i += 1) mirrored[i] = (mirrored[i >> 1] >> 1) + (i & 1) * (length >> 1);
  return (re, im) => {
    for (let i = 0; i < length; i += 1) {
      const j = mirrored[i];
      if (j > i) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
    }
    for (let half = 1; half < length; half *= 2)
      for (let start = 0; start < length; start += 2 * half)
        for (let i = start, angle = 0; i < start + half; i += 1, angle += length / (2 * half)) {
          const j = i + half;
          const turnedRe = re[j] * cosine[angle] - im[j] * sine[angle];
          const turnedIm = re[j] * sine[angle] + im[j] * cosine[angle];
          re[j] = re[i] - turnedRe;
          im[j] = im[i] - turnedIm;
          re[i] += turnedRe;
          im[i] += turnedIm;
        }
  };
}

/** Any length: a convolution with e^(iπk²/n), by transforms of a power of two.
 *  Source: Bluestein 1970, doi:10.1109/TAU.1970.1162132 */
function chirp(length: number): Fourier {
  const padded = 2 ** Math.ceil(Math.log2(2 * length - 1));
  const fourier = radix2(padded);
  const wave = new Complexes(length); // e^(−iπk²/n); k² modulo 2n, so that large k keep their precision
  for (let k = 0; k < length; k += 1) {
    const angle = (-Math.PI * ((k * k) % (2 * length))) / length;
    wave.re[k] = Math.cos(angle);
    wave.im[k] = Math.sin(angle);
  }
  const kernel = new Complexes(padded);
  for (let k = 0; k < length; k += 1)
    for (const at of k === 0 ? [0] : [k, padded - k]) [kernel.re[at], kernel.im[at]] = [wave.re[k], -wave.im[k]];
  fourier(kernel.re, kernel.im);
  const work = new Complexes(padded);
  return (re, im) => {
    work.re.fill(0);
    work.im.fill(0);
    for (let k = 0; k < length; k += 1) {
      work.re[k] = re[k] * wave.re[k] - im[k] * wave.im[k];
      work.im[k] = re[k] * wave.im[k] + im[k] * wave.re[k];
    }
    fourier(work.re, work.im);
    for (let k = 0; k < padded; k += 1) {
      const product = work.re[k] * kernel.re[k] - work.im[k] * kernel.im[k];
      work.im[k] = work.re[k] * kernel.im[k] + work.im[k] * kernel.re[k];
      work.re[k] = product;
    }
    fourier(work.im, work.re); // the inverse, up to the factor
    for (let k = 0; k < length; k += 1) {
      re[k] = (work.re[k] * wave.re[k] - work.im[k] * wave.im[k]) / padded;
      im[k] = (work.re[k] * wave.im[k] + work.im[k] * wave.re[k]) / padded;
    }
  };
}

const accepts = ({ input }: Operand): boolean => input.dtype === "complex64" && input.shape.length > 0;

export const fourierKernels: readonly NamedKernel[] = [
  tensorKernel<unknown, Operand>("FFT", { accepts, run: (call) => transform(call, false) }),
  tensorKernel<unknown, Operand>("IFFT", { accepts, run: (call) => transform(call, true) }),
];
