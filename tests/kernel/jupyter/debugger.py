"""The kernel's debugger under jupyter_client: what front ends send, in the order in which they send it."""
import unittest

from jupyter_client.manager import start_new_kernel

KERNEL = "moe-lab"
TIMEOUT = 60

FUNCTION = """function f(a: number, b: number) {
  const c = a + b
  return c
}

f(2, 3)"""


class DebuggerTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.manager, cls.client = start_new_kernel(kernel_name=KERNEL, startup_timeout=TIMEOUT)
        cls.seq = 0

    @classmethod
    def tearDownClass(cls):
        cls.client.stop_channels()
        cls.manager.shutdown_kernel(now=True)

    def setUp(self):
        self.assertTrue(self.ask("initialize", {
            "clientID": "test-client", "clientName": "testClient", "adapterID": "", "pathFormat": "path", "linesStartAt1": True, "columnsStartAt1": True,
            "supportsVariableType": True, "supportsVariablePaging": True, "supportsRunInTerminalRequest": True, "locale": "en",
        })["success"])
        self.assertTrue(self.ask("attach")["success"])

    def tearDown(self):
        self.assertTrue(self.ask("disconnect", {"restart": False, "terminateDebuggee": True})["success"])

    def ask(self, command, arguments=None):
        type(self).seq += 1
        message = self.client.session.msg("debug_request", {"type": "request", "seq": self.seq, "command": command, "arguments": arguments or {}})
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                self.assertEqual(reply["msg_type"], "debug_reply")
                self.assertEqual(reply["content"]["request_seq"], self.seq)
                return reply["content"]

    def stop_at(self, code, line):
        source = self.ask("dumpCell", {"code": code})["body"]["sourcePath"]
        reply = self.ask("setBreakpoints", {"breakpoints": [{"line": line}], "source": {"path": source}, "sourceModified": False})
        self.assertTrue(reply["body"]["breakpoints"][0]["verified"])
        self.assertEqual(reply["body"]["breakpoints"][0]["source"]["path"], source)
        self.assertIn(source, [entry["source"] for entry in self.ask("debugInfo")["body"]["breakpoints"]])
        self.assertTrue(self.ask("configurationDone")["success"])
        message = self.client.execute(code)
        self.assertEqual(self.event("stopped")["reason"], "breakpoint")
        frame = self.ask("stackTrace", {"threadId": 1})["body"]["stackFrames"][0]
        self.assertEqual((frame["line"], frame["source"]["path"]), (line, source))
        return message, frame["id"]

    def event(self, name):
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
                return message["content"]["body"]

    def finish(self, message):
        self.assertTrue(self.ask("continue", {"threadId": 1})["success"])
        reply = self.client.get_shell_msg(timeout=TIMEOUT)
        while reply["parent_header"].get("msg_id") != message:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
        self.assertEqual(reply["content"]["status"], "ok")

    def variables(self, frame, scope):
        scopes = self.ask("scopes", {"frameId": frame})["body"]["scopes"]
        reference = next(entry["variablesReference"] for entry in scopes if entry["name"] == scope)
        return self.ask("variables", {"variablesReference": reference})["body"]["variables"]

    def test_a_cell_stops_and_its_variables_are_seen(self):
        message, frame = self.stop_at(FUNCTION, 2)
        values = {v["name"]: v["value"] for v in self.variables(frame, "Locals")}
        self.assertEqual((values["a"], values["b"]), ("2", "3"))
        rich = self.ask("richInspectVariables", {"variableName": "a", "frameId": frame})["body"]
        self.assertEqual(rich["data"], {"text/plain": "2"})
        self.finish(message)

    def test_leading_empty_lines_count(self):
        message, _ = self.stop_at("\n" + FUNCTION.replace("f(", "g("), 7)
        self.finish(message)

    def test_a_local_variable_is_copied_to_the_globals(self):
        message, frame = self.stop_at("function h() {\n  const local = { word: 'x' }\n  return local\n}\nh()", 3)
        self.assertTrue(self.ask("copyToGlobals", {"srcVariableName": "local", "dstVariableName": "copy", "srcFrameId": frame})["success"])
        local = next(v for v in self.variables(frame, "Locals") if v["evaluateName"] == "local")
        copy = next(v for v in self.variables(frame, "Globals") if v["evaluateName"] == "copy")
        self.assertEqual((copy["value"], copy["type"]), (local["value"], local["type"]))
        self.finish(message)

    def test_variables_are_seen_while_nothing_stands(self):
        self.client.execute_interactive("const text = 'Hello the world'", timeout=TIMEOUT)
        self.assertIn("text", [v["name"] for v in self.ask("inspectVariables")["body"]["variables"]])
        self.assertEqual(self.ask("richInspectVariables", {"variableName": "text"})["body"]["data"], {"text/plain": "'Hello the world'"})

    def test_the_heart_beats_and_an_interrupt_ends_a_cell_that_stands(self):
        message, _ = self.stop_at("const before = 1\nconst after = 2", 2)
        self.assertTrue(self.client.hb_channel.is_beating())
        self.manager.interrupt_kernel()
        reply = self.client.get_shell_msg(timeout=TIMEOUT)
        while reply["parent_header"].get("msg_id") != message:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
        self.assertEqual(reply["content"]["ename"], "KeyboardInterrupt")
        self.assertTrue(self.client.is_alive())

    def test_a_restart_ends_the_debugger(self):
        self.stop_at("const one = 1\nconst two = 2", 2)
        self.manager.restart_kernel()
        self.client.wait_for_ready(timeout=TIMEOUT)
        info = self.ask("debugInfo")["body"]
        self.assertEqual((info["isStarted"], info["breakpoints"], info["stoppedThreads"]), (False, [], []))


if __name__ == "__main__":
    unittest.main(verbosity=2)
