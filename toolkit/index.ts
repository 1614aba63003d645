/** The public names of moe-lab. Importing it makes the fastest backend the current one of TensorFlow.js. */
// tensor.add(…) and the other chained ops: backend/register.ts brings them in, this line their types.
/// <reference types="@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js" preserve="true" />
import * as tf from "@tensorflow/tfjs-core";
import { chooseBackend } from "./backend/choose.ts";
// Gradients of tfjs's own ops that tfjs-core lacks.
import "./ops/missingGradients.ts";

export { tf };
/** The backend in use, why, and its threads. */
export const backend = await chooseBackend();

export { withActivationStorage } from "./backend/activationStorage.ts";
export { chooseBackend, type ChosenBackend } from "./backend/choose.ts";
export type { FloatStorage } from "./backend/floatStorage.ts";
export { nativeMemory, resetPeakBytes, type NativeMemory } from "./backend/memory.ts";
export {
  BackendError, ConfigError, DataError, FileFormatError, MoeLabError, RequestError, RoutingError, ServerError, ShapeError, TrainingError, type ErrorReport,
} from "./errors.ts";
export { RandomSource, type RandomState } from "./random.ts";

export { adamwStep, clipByGlobalNorm, globalNorm } from "./ops/adamw.ts";
export { attention } from "./ops/attention.ts";
export { combine } from "./ops/combine.ts";
export { crossEntropy } from "./ops/crossEntropy.ts";
export { dispatch, planDispatch, type DispatchPlan } from "./ops/dispatch.ts";
export { embedding } from "./ops/embedding.ts";
export { expertFeedForward } from "./ops/expertFeedForward.ts";
export { groupedMatmul } from "./ops/groupedMatmul.ts";
export { layerNorm } from "./ops/layerNorm.ts";
export { queryKeyValue } from "./ops/queryKeyValue.ts";
export { addRmsNorm, rmsNorm } from "./ops/rmsNorm.ts";
export { rotary } from "./ops/rotary.ts";
export { balanceLoss, zLoss } from "./ops/routerLosses.ts";
export { routeTopK } from "./ops/routeTopK.ts";
export { stopGradient } from "./ops/stopGradient.ts";
export { toStorage } from "./ops/toStorage.ts";

export type { CapacityConfig, MoeConfig, RouterConfig } from "./moe/config.ts";
export { transformerConfig, type TransformerConfig, type TransformerSettings } from "./models/config.ts";
export { modelSize, type ModelSize } from "./models/count.ts";
export { Transformer, type ForwardResult, type RoutingRecord } from "./models/transformer.ts";

export { trainTokenizer, type TrainTokenizerOptions } from "./tokenizer/train.ts";
export { Tokenizer } from "./tokenizer/tokenizer.ts";
export { readText, splitText } from "./data/text.ts";
export { sequentialBatches, TokenBatches, type Batch, type DataCursor, type MaskedBatch } from "./data/batches.ts";

export { listCheckpoints, readCheckpoint, readLatestCheckpoint, restoreCheckpoint, writeCheckpoint, type Checkpoint, type TrainingState } from "./train/checkpoint.ts";
export { evaluate } from "./train/evaluate.ts";
export { readMetrics, type EvaluationRecord, type MetricsRecord, type StepRecord } from "./train/metrics.ts";
export { recipe, type Recipe } from "./train/recipe.ts";
export { loadRun, type LoadedRun } from "./train/run.ts";
export { train, type TrainOptions, type TrainResult } from "./train/trainer.ts";
export { watchTraining } from "./train/watch.ts";

export { generate, type GeneratedPiece, type GenerateSettings } from "./generate/generate.ts";
export { sampleToken, type SamplingSettings } from "./generate/sampler.ts";
export { openSession, type DecodeSession } from "./generate/session.ts";

export { analyzeRouting, type AnalyzeRoutingOptions } from "./analysis/analyzeRouting.ts";
export { RoutingReport } from "./analysis/routingReport.ts";
export { RoutingStats, type LayerRouting, type RoutingSummary } from "./analysis/routingStats.ts";
export { traceTokens, type LayerTrace } from "./analysis/traceTokens.ts";

export { readBundle, writeBundle, type Bundle, type BundleManifest } from "./export/bundle.ts";
export { promote, type PromotedFolder, type PromoteSource } from "./export/promote.ts";
export { readSafetensors, writeSafetensors, type NamedArray } from "./export/safetensors.ts";
