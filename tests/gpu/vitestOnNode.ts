/* As much of vitest as the tests for devices use, for a machine that has nothing installed: pack.mjs bundles them with it.
 * Tests run one after another; the last line is {passed, failed, skipped}. */
import { chai, GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } from "@vitest/expect";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
export const expect = chai.expect;
Object.assign(globalThis, { [GLOBAL_EXPECT]: expect });
setState({ assertionCalls: 0, isExpectingAssertions: false, isExpectingAssertionsError: null, expectedAssertionsNumber: null, expectedAssertionsNumberErrorGen: null }, expect as never);

class Skipped extends Error {}
type Body = (...args: never[]) => unknown;
interface Test { readonly name: string; readonly run: () => unknown }

const context = { skip: (why?: string): never => { throw new Skipped(why); } };
const groups: string[] = [];
const tests: Test[] = [];
const before: Body[] = [], after: Body[] = [];

/** Node's printf for titles: each %s takes the next part of a row. */
function titleOf(name: string, row: unknown): string {
  const parts = Array.isArray(row) ? [...row as unknown[]] : [row];
  return name.replace(/%s/g, () => String(parts.shift()));
}
const argumentsOf = (row: unknown): unknown[] => (Array.isArray(row) ? row as unknown[] : [row]);

function add(name: string, body: Body, ...args: unknown[]): void {
  tests.push({ name: [...groups, name].join(" › "), run: () => (body as (...given: unknown[]) => unknown)(...args) });
}
export const test = Object.assign((name: string, body: Body): void => { add(name, body, context); }, {
  each: (rows: readonly unknown[]) => (name: string, body: Body): void => { for (const row of rows) add(titleOf(name, row), body, ...argumentsOf(row)); },
  for: (rows: readonly unknown[]) => (name: string, body: Body): void => { for (const row of rows) add(titleOf(name, row), body, row, context); },
});

function group(name: string, body: Body, ...args: unknown[]): void {
  groups.push(name);
  (body as (...given: unknown[]) => void)(...args);
  groups.pop();
}
export const describe = Object.assign((name: string, body: Body): void => { group(name, body); }, {
  each: (rows: readonly unknown[]) => (name: string, body: Body): void => { for (const row of rows) group(titleOf(name, row), body, ...argumentsOf(row)); },
  runIf: (isWanted: boolean) => (name: string, body: Body): void => { if (isWanted) group(name, body); },
});
export const beforeAll = (body: Body): void => { before.push(body); };
export const afterAll = (body: Body): void => { after.push(body); };

async function runAll(): Promise<void> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const body of before) await body();
  for (const { name, run } of tests) {
    try {
      await run();
      ++counts.passed;
    } catch (error) {
      if (error instanceof Skipped) {
        ++counts.skipped;
        console.log(`skipped: ${name}: ${error.message}`);
        continue;
      }
      ++counts.failed;
      console.log(`FAILED: ${name}\n${error instanceof Error ? error.message.split("\n").slice(0, 12).join("\n") : String(error)}`);
    }
  }
  for (const body of after) await body();
  console.log(JSON.stringify(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
setImmediate(() => { void runAll(); });
