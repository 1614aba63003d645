// Entry of the server process: node dist/serve/main.js BUNDLE --port 0
import { runServer } from "./run.ts";

const code = await runServer(process.argv.slice(2));
// An open standard input would keep the process alive.
process.exit(code);
