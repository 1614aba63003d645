"""Kernels that die under jupyter_client: its restarter notices and gives a fresh kernel, or says that the kernel is dead."""
import asyncio
import unittest

from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.ioloop.restarter import AsyncIOLoopKernelRestarter

KERNEL = "moe-lab"
TIMEOUT = 60

DEATHS = {
    "process.exit": "process.exit(3)",
    "process.abort": "process.abort()",
    "killed, as by a machine without memory": "process.kill(process.pid, 'SIGKILL')",
    "native crash": "process.kill(process.pid, 'SIGSEGV')",
}


class QuickRestarter(AsyncIOLoopKernelRestarter):
    # Seconds between two looks at the process.
    time_to_dead = 0.3


class DeathTests(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.manager = AsyncIOLoopKernelManager(kernel_name=KERNEL, autorestart=True)
        self.manager.restarter_class = QuickRestarter
        self.events = []
        self.seen = asyncio.Event()
        await self.manager.start_kernel()
        for event in ("restart", "dead"):
            self.manager.add_restart_callback(lambda event=event: self.note(event), event)
        self.client = self.manager.client()
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=TIMEOUT)

    async def asyncTearDown(self):
        self.client.stop_channels()
        await self.manager.shutdown_kernel(now=True)

    def note(self, event):
        self.events.append(event)
        self.seen.set()

    async def run_cell(self, code):
        results = []

        def hook(message):
            if message["msg_type"] == "execute_result":
                results.append(message["content"]["data"]["text/plain"])

        reply = await self.client.execute_interactive(code, timeout=TIMEOUT, output_hook=hook)
        return reply["content"]["status"], results

    async def test_each_death_is_noticed_and_a_fresh_kernel_takes_over(self):
        for name, code in DEATHS.items():
            with self.subTest(name):
                self.seen.clear()
                await self.run_cell("const gone = 1")
                self.client.execute(code)
                await asyncio.wait_for(self.seen.wait(), TIMEOUT)
                await self.client.wait_for_ready(timeout=TIMEOUT)
                self.assertEqual(await self.run_cell("6 * 7"), ("ok", ["42"]))
                self.assertEqual((await self.run_cell("gone"))[0], "error")
        self.assertEqual(self.events, ["restart"] * len(DEATHS))

    async def test_a_kernel_that_filled_its_heap_lives_on(self):
        code = "const hoard = []; for (;;) hoard.push(new Array(1000).fill(1))"
        reply = await self.client.execute_interactive(code, timeout=TIMEOUT, output_hook=lambda message: None)
        self.assertEqual(reply["content"]["ename"], "HeapExhaustedError")
        self.assertEqual(await self.run_cell("hoard.length = 0; 6 * 7"), ("ok", ["42"]))
        self.assertEqual(self.events, [])

    async def test_without_a_restarter_the_kernel_is_reported_dead(self):
        self.manager.stop_restarter()
        self.client.execute("process.exit(3)")
        for _ in range(100):
            if not await self.manager.is_alive():
                break
            await asyncio.sleep(0.1)
        self.assertFalse(await self.manager.is_alive())
        await self.manager.restart_kernel()
        await self.client.wait_for_ready(timeout=TIMEOUT)
        self.assertEqual(await self.run_cell("6 * 7"), ("ok", ["42"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
