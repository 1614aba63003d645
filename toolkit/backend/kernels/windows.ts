import type { backend_util } from "@tensorflow/tfjs-core";

type ConvInfo = backend_util.Conv2DInfo;

/** What the addon's functions with windows take first: batch, channels, and for rows and columns each in, out, filter,
 *  stride, dilation, padding. */
export function windowsOf(info: ConvInfo): [batch: number, channels: number, window: Int32Array] {
  const window = Int32Array.of(
    info.inHeight, info.outHeight, info.filterHeight, info.strideHeight, info.dilationHeight, info.padInfo.top,
    info.inWidth, info.outWidth, info.filterWidth, info.strideWidth, info.dilationWidth, info.padInfo.left);
  return [info.batchSize, info.inChannels, window];
}
