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

export type { ForwardContext } from "./nn/forwardContext.ts";
export type { LoraConfig } from "./nn/lora.ts";
export { WeightScope } from "./nn/module.ts";
export { matchWeights, selectWeights } from "./nn/weightPatterns.ts";

export { moeConfig, type CapacityConfig, type MoeConfig, type MoeSettings } from "./moe/config.ts";
export {
  fineGrained, type ExpertConfig, type ExpertGroup, type FeedForwardConfig, type ResidualConfig, type SharedExpertsConfig, type SingleExpertConfig,
} from "./moe/expertConfig.ts";
export { expertLayerSize, expertSize, type ExpertLayerSize, type ExpertSize } from "./moe/expertSize.ts";
export { registerExpert, type CustomExpert, type ExpertFunction } from "./moe/experts/custom.ts";
export { checkCausality, type CausalityOptions, type CausalityReport } from "./moe/causality.ts";
export { MoeLayer } from "./moe/layer.ts";
export type { Routing, RoutingDecision } from "./moe/router.ts";
export type { GroupLimit, RouterConfig, RouterSettings } from "./moe/routerConfig.ts";
export { registerRouter, type BuildRouter, type CustomDecision, type CustomRoute, type RouterShape } from "./moe/routers/custom.ts";
export { transformerConfig, type DenseTransformerSettings, type TransformerConfig, type TransformerSettings } from "./models/config.ts";
export { denseTwin, modelSize, type ModelSize } from "./models/count.ts";
export { preset, presetNames, type PresetName, type PresetOverrides } from "./models/presets.ts";
export { compareWithDenseTwin, SizeComparison } from "./models/sizeComparison.ts";
export { Transformer, type ForwardResult, type RoutingRecord } from "./models/transformer.ts";

export { addLora, mergeLora, type AdaptedModel } from "./surgery/lora.ts";
export { mergeExperts, type MergeSettings } from "./surgery/merge.ts";
export { pruneExperts, type PruneChoice } from "./surgery/prune.ts";
export { upcycle, type UpcycleOptions, type UpcycleSettings } from "./surgery/upcycle.ts";

export { ChatTemplate, chatMlConfig, chatTokens, type ChatMessage, type ChatOptions, type ChatPiece, type EncodedChat } from "./tokenizer/chatTemplate.ts";
export type { RanksOptions } from "./tokenizer/ranks.ts";
export { splitPatterns, type SplitPatternName } from "./tokenizer/splitPattern.ts";
export { trainTokenizer, type TrainTokenizerOptions } from "./tokenizer/train.ts";
export { Tokenizer, type EncodeOptions } from "./tokenizer/tokenizer.ts";
export { readTokenizerConfig, writeTokenizerConfig, type TokenizerConfig, type TokenizerConfigJson } from "./tokenizer/tokenizerConfig.ts";
export type { AddedToken } from "./tokenizer/vocabulary.ts";
export { readText, splitText } from "./data/text.ts";
export { sequentialBatches, TokenBatches, type Batch, type DataCursor, type MaskedBatch } from "./data/batches.ts";
export type { BatchSource, JsonValue } from "./data/batchSource.ts";
export { instructionBatches, instructionRows, renderChat, renderPromptResponse, type ChatRenderer, type InstructionOptions, type Render, type RenderedPiece } from "./data/collators/instruction.ts";
export { MixedRows, multiTaskBatches, type MixedRowsOptions, type RowMixtureSource } from "./data/collators/multiTask.ts";
export { packedBatches, packRows, type PackedBatchesOptions, type PackingSettings } from "./data/collators/packing.ts";
export { paddedBatches, SequenceRows, type PaddedBatchesOptions } from "./data/collators/padding.ts";
export { RowBatches, type Row, type RowBatchesOptions, type RowSource } from "./data/collators/rows.ts";
export { SequenceSource, textSequences, type DocumentEncoder, type SequenceCounts, type TokenSequence, type ToSequence } from "./data/collators/sequences.ts";
export type { DataReport } from "./data/dataReport.ts";
export { openDataset, type Dataset, type DatasetOptions } from "./data/dataset.ts";
export type { DataFormat, DatasetSettings } from "./data/datasetSettings.ts";
export type { DataDocument, DocumentSource } from "./data/documents.ts";
export { gopherBounds, type FilterSettings } from "./data/filters.ts";
export { MemoryDocuments, type MemoryDocumentsOptions } from "./data/memoryDocuments.ts";
export { Mixture, openMixture, type MixtureOptions, type MixtureSettings, type MixtureSource } from "./data/mixture.ts";
export { measureText, type TextMeasures } from "./data/textMeasures.ts";
export type { ChoiceSettings } from "./data/weightedChoice.ts";
export { writeTokenised } from "./data/writeTokenised.ts";

export { listCheckpoints, readBestCheckpoint, readCheckpoint, readLatestCheckpoint, restoreCheckpoint, writeCheckpoint, type Checkpoint, type TrainingState } from "./train/checkpoint.ts";
export { compareRuns, RunComparison, type RunAxis, type RunRow } from "./train/compareRuns.ts";
export { evaluate, type Evaluation, type EvaluationData } from "./train/evaluate.ts";
export type { MonitorConfig, Policy } from "./train/gradientMonitor.ts";
export { readMetrics, withoutUndone, type EvaluationRecord, type EventRecord, type MetricsRecord, type RouterMetrics, type StepRecord } from "./train/metrics.ts";
export type { ParameterGroup } from "./train/parameterGroups.ts";
export { recipe, type EarlyStop, type Recipe, type RecipeSettings } from "./train/recipe.ts";
export { loadRun, type LoadedRun } from "./train/run.ts";
export { learningRateAt, type DecayShape, type ScheduleConfig, type ScheduleSettings } from "./train/schedule.ts";
export { train, type TrainCallbacks, type TrainingData, type TrainOptions, type TrainResult } from "./train/trainer.ts";
export type { ValidationPoint } from "./train/validationHistory.ts";
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
