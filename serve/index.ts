export { streamCompletion, type CompletionPiece, type CompletionSettings } from "./client.ts";
export { startServer, type RunningServer, type StartServerSettings } from "./process.ts";
