"""The kernel under Jupyter's own clients: jupyter_client (interrupt, input, comms, restart, shutdown, death) and nbclient (notebooks)."""
import json
import time
import unittest

import nbformat
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

KERNEL = "moe-lab"
TIMEOUT = 60


class ClientTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.manager, cls.client = start_new_kernel(kernel_name=KERNEL, startup_timeout=TIMEOUT)

    @classmethod
    def tearDownClass(cls):
        cls.client.stop_channels()
        cls.manager.shutdown_kernel(now=True)

    def run_cell(self, code, **options):
        outputs = []
        reply = self.client.execute_interactive(code, timeout=TIMEOUT, output_hook=outputs.append, **options)
        return reply["content"], outputs

    def test_outputs_of_a_cell(self):
        content, outputs = self.run_cell("console.log('a'); console.error('b'); display({ 'text/html': 'c' }); 4")
        self.assertEqual(content["status"], "ok")
        types = [m["msg_type"] for m in outputs if m["msg_type"] not in ("status", "execute_input")]
        self.assertEqual(types, ["stream", "stream", "display_data", "execute_result"])

    def test_an_interrupt_stops_a_busy_cell_and_keeps_the_state(self):
        self.run_cell("const kept = 5")
        for code in ("while (true) {}", "await null; for (;;) {}", "await new Promise(() => {})", "for (;;) await new Promise((r) => setTimeout(r, 1))"):
            with self.subTest(code=code):
                message = self.client.execute(code)
                time.sleep(0.7)
                self.manager.interrupt_kernel()
                reply = self.client.get_shell_msg(timeout=10)
                while reply["parent_header"].get("msg_id") != message:
                    reply = self.client.get_shell_msg(timeout=10)
                self.assertEqual(reply["content"]["status"], "error")
                self.assertEqual(reply["content"]["ename"], "KeyboardInterrupt")
                content, outputs = self.run_cell("kept")
                self.assertEqual(content["status"], "ok")

    def test_input_asks_the_front_end(self):
        asked = []

        def answer(message):
            asked.append(message["content"])
            self.client.input("Grace")

        content, outputs = self.run_cell("const who = input('name? '); who.length", allow_stdin=True, stdin_hook=answer)
        self.assertEqual(content["status"], "ok")
        self.assertEqual(asked, [{"prompt": "name? ", "password": False}])
        self.assertIn("5", [m["content"]["data"]["text/plain"] for m in outputs if m["msg_type"] == "execute_result"])

    def test_a_password_is_asked_for_as_one(self):
        asked = []

        def answer(message):
            asked.append(message["content"])
            self.client.input("s3cret")

        content, outputs = self.run_cell("input('key: ', true).length", allow_stdin=True, stdin_hook=answer)
        self.assertEqual(asked, [{"prompt": "key: ", "password": True}])
        self.assertNotIn("s3cret", json.dumps([m["content"] for m in outputs]))

    def test_input_is_an_error_where_nobody_can_answer(self):
        content, _ = self.run_cell("input('name? ')", allow_stdin=False)
        self.assertEqual((content["status"], content["ename"]), ("error", "InputError"))

    def test_a_comm_carries_data_and_buffers_both_ways(self):
        self.run_cell("comms.register('echo', (comm, data) => { comm.send({ opened: data }); "
                      "comm.onMessage = (data, buffers) => comm.send({ got: data }, { buffers: buffers.map((b) => b.toReversed()) }); "
                      "comm.onClose = () => console.log('closed'); })")

        def send(kind, buffers=None, **content):
            return self.client.session.send(self.client.shell_channel.socket, kind, {"comm_id": "c1", **content}, buffers=buffers)["header"]["msg_id"]

        def published(msg_id, kind):
            """The one message of that kind; its parent is the cell that made the callback, so that its output is shown there."""
            found, is_idle = [], False
            while not (is_idle and found):
                message = self.client.get_iopub_msg(timeout=TIMEOUT)
                if message["msg_type"] == kind:
                    found.append(message)
                is_idle = is_idle or (message["parent_header"].get("msg_id") == msg_id and message["content"].get("execution_state") == "idle")
            return found

        opened = published(send("comm_open", target_name="echo", data={"a": 1}), "comm_msg")
        self.assertEqual([m["content"] for m in opened], [{"comm_id": "c1", "data": {"opened": {"a": 1}}}])
        big = bytes(range(256)) * 4096
        answers = published(send("comm_msg", buffers=[b"\x01\x02\x03", big, b""], data={"b": [None, "ü"]}), "comm_msg")
        self.assertEqual([m["content"]["data"] for m in answers], [{"got": {"b": [None, "ü"]}}])
        self.assertEqual([bytes(b) for b in answers[0]["buffers"]], [b"\x03\x02\x01", big[::-1], b""])
        closed = published(send("comm_close", data={}), "stream")
        self.assertEqual([m["content"]["text"] for m in closed], ["closed\n"])

    def test_outputs_of_different_kinds_keep_their_order(self):
        _, outputs = self.run_cell("for (let i = 0; i < 3000; i++) (i % 3 === 0 ? console.log : i % 3 === 1 ? console.error : (n: number) => display({ 'text/plain': String(n) }))(i)")
        seen = []
        for message in outputs:
            if message["msg_type"] == "stream":
                seen += [(message["content"]["name"], int(n)) for n in message["content"]["text"].split()]
            elif message["msg_type"] == "display_data":
                seen.append(("display", int(message["content"]["data"]["text/plain"])))
        self.assertEqual(seen, [(("stdout", "stderr", "display")[n % 3], n) for n in range(3000)])

    def test_user_expressions(self):
        content, _ = self.run_cell("const u = 3", user_expressions={"double": "u * 2", "bad": "nowhere"})
        self.assertEqual(content["user_expressions"]["double"]["data"]["text/plain"], "6")
        self.assertEqual(content["user_expressions"]["bad"]["status"], "error")

    def test_cells_behind_a_failing_one_are_aborted(self):
        ids = [self.client.execute(code) for code in ("await new Promise((r) => setTimeout(r, 300)); throw new Error('x')", "1", "2")]
        replies = {}
        while len(replies) < 3:
            reply = self.client.get_shell_msg(timeout=10)
            replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
        self.assertEqual([replies[i] for i in ids], ["error", "aborted", "aborted"])

    def test_a_restart_gives_a_fresh_kernel_at_the_same_address(self):
        self.run_cell("const gone = 1")
        before = self.manager.get_connection_info()
        self.manager.restart_kernel()
        self.client.wait_for_ready(timeout=TIMEOUT)
        self.assertEqual(self.manager.get_connection_info(), before)
        content, _ = self.run_cell("gone")
        self.assertEqual(content["status"], "error")
        self.assertIn("TS2304", content["evalue"])

    def test_heartbeat_beats_while_a_cell_is_busy(self):
        self.client.execute("const end = Date.now() + 1500; while (Date.now() < end) {}")
        time.sleep(0.5)
        self.assertTrue(self.client.hb_channel.is_beating())
        self.client.get_shell_msg(timeout=10)


class EndTests(unittest.TestCase):
    def test_a_kernel_that_is_asked_to_shut_down_ends_by_itself(self):
        manager, client = start_new_kernel(kernel_name=KERNEL, startup_timeout=TIMEOUT)
        process = manager.provisioner.process
        client.execute("setInterval(() => {}, 10)")
        client.get_shell_msg(timeout=TIMEOUT)
        reply = client.shutdown(reply=True, timeout=TIMEOUT)
        self.assertEqual((reply["content"]["status"], reply["content"]["restart"]), ("ok", False))
        self.assertEqual(process.wait(timeout=10), 0)
        client.stop_channels()
        manager.cleanup_resources()


class NotebookTests(unittest.TestCase):
    def execute(self, *sources, **options):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
        NotebookClient(notebook, kernel_name=KERNEL, timeout=TIMEOUT, **options).execute()
        nbformat.validate(notebook)
        return notebook

    def test_a_notebook_runs_from_top_to_bottom(self):
        notebook = self.execute("const n: number = 20", "for (let i = 0; i < n; i++) console.log(i)", "display({ 'text/html': '<i>0</i>' }, { display_id: 'd' })",
                                "display({ 'text/html': '<i>1</i>' }, { display_id: 'd', update: true }); n * 2")
        self.assertEqual(notebook.cells[1].outputs[0].text, "".join(f"{i}\n" for i in range(20)))
        self.assertEqual(notebook.cells[2].outputs[0].data["text/html"], "<i>1</i>")
        self.assertEqual(notebook.cells[3].outputs[0].data["text/plain"], "40")
        self.assertEqual([c.execution_count for c in notebook.cells], [1, 2, 3, 4])

    def test_an_error_stops_the_notebook(self):
        with self.assertRaises(CellExecutionError) as caught:
            self.execute("const word: string = 5")
        self.assertIn("TS2322", str(caught.exception))

    def test_a_cell_over_its_time_is_interrupted(self):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("while (true) {}")])
        client = NotebookClient(notebook, kernel_name=KERNEL, timeout=2, interrupt_on_timeout=True, allow_errors=True)
        client.execute()
        self.assertEqual(notebook.cells[0].outputs[0].ename, "KeyboardInterrupt")


if __name__ == "__main__":
    unittest.main(verbosity=2)
