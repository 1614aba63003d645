import { expect, test } from "vitest";
import { StopText } from "../../serve/stopText.ts";

/** Feeds text in pieces of one length and collects what may be sent. */
function send(stops: readonly string[], text: string, pieceLength: number): { sent: string; isStopped: boolean } {
  const filter = new StopText(stops);
  let sent = "";
  for (let at = 0; at < text.length; at += pieceLength) {
    const { text: piece, isStopped } = filter.push(text.slice(at, at + pieceLength));
    sent += piece;
    if (isStopped) return { sent, isStopped };
  }
  return { sent: sent + filter.end(), isStopped: false };
}

test.each([1, 2, 3, 5, 100])("a completion ends before its stop text, however it is cut into pieces (%i)", (pieceLength) => {
  expect(send(["END"], "one EN two END three", pieceLength)).toEqual({ sent: "one EN two ", isStopped: true });
  expect(send(["aab"], "aaab", pieceLength)).toEqual({ sent: "a", isStopped: true });
  expect(send(["\n\n", "###"], "x\ny##\n\nz", pieceLength)).toEqual({ sent: "x\ny##", isStopped: true });
});

test("text without a stop text comes through whole, with its last characters", () => {
  expect(send(["END"], "nothing EN", 1)).toEqual({ sent: "nothing EN", isStopped: false });
  expect(send([], "anything", 3)).toEqual({ sent: "anything", isStopped: false });
});

test("only what could become a stop text is held back", () => {
  const filter = new StopText(["END"]);
  expect(filter.push("helloE")).toEqual({ text: "hello", isStopped: false });
  expect(filter.push("x")).toEqual({ text: "Ex", isStopped: false });
});
