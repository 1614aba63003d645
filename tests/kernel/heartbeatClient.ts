import { setTimeout as sleep } from "node:timers/promises";
import { Request } from "zeromq";
import { channelAddress } from "../../kernel/protocol/connectionFile.ts";
import type { ConnectionInfo } from "../../kernel/protocol/connectionFile.ts";

/** Sends heartbeats all the time while something happens.
 *  @returns the longest time one of them took, in ms, and how many came back */
export async function heartbeatDuring(connection: ConnectionInfo, work: () => Promise<unknown>): Promise<{ slowestMs: number; beats: number }> {
  const socket = new Request({ linger: 0, receiveTimeout: 30_000 });
  socket.connect(channelAddress(connection, "heartbeat"));
  let isOver = false;
  let slowestMs = 0;
  let beats = 0;
  const beating = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      await socket.send(`beat ${beats}`);
      if (String((await socket.receive())[0]) !== `beat ${beats}`) throw new Error("another beat came back");
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      beats += 1;
      await sleep(5);
    }
  })();
  await work();
  isOver = true;
  await beating;
  socket.close();
  return { slowestMs, beats };
}
