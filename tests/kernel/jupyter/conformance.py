"""The public conformance suite for Jupyter kernels (jupyter_kernel_test), with every case configured."""
import unittest

import jupyter_kernel_test as jkt


class TypeScriptKernelTests(jkt.KernelTests):
    kernel_name = "moe-lab"
    language_name = "typescript"
    file_extension = ".ts"

    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('to stderr')"

    completion_samples = [
        {"text": "Math.hyp", "matches": {"hypot"}},
        {"text": "process.plat", "matches": {"platform"}},
        {"text": "const tens = [10]; tens.flatM", "matches": {"flatMap"}},
    ]

    complete_code_samples = ["1", "const a = 1", "function f() { return 1 }", "await fetch('x')", "import fs from 'node:fs'", "class A<T> {}"]
    incomplete_code_samples = ["function f() {", "[1, 2,", "const a = ", "`text", "if (true) {\n  1", "/* comment"]
    invalid_code_samples = ["const = 5", "a b c", "1 +* 2", "}"]

    code_page_something = "?Math.hypot"
    code_generate_error = "throw new Error('generated')"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "'a' + 'b'", "result": "'ab'"},
        {"code": "await Promise.resolve([1, 2])", "result": "[ 1, 2 ]"},
        {"code": "({ [Symbol.for('Jupyter.display')]() { return { 'text/html': '<b>1</b>' } } })", "mime": "text/html", "result": "<b>1</b>"},
    ]
    code_display_data = [
        {"code": "display({ 'text/html': '<b>bold</b>' })", "mime": "text/html"},
        {"code": "display({ 'image/png': new Uint8Array([137, 80, 78, 71]) })", "mime": "image/png"},
        {"code": "display(new Map([[1, 2]]))", "mime": "text/plain"},
    ]
    code_history_pattern = "6 * ?"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Math.hypot"
    code_clear_output = "clearOutput()"


class EveryCaseTests(unittest.TestCase):
    """jupyter_kernel_test skips what is not configured, so a newer version could leave a case out in silence."""

    def test_every_case_of_the_suite_is_configured(self):
        names = [n for n in dir(jkt.KernelTests) if n.startswith("code_") or n.endswith(("_samples", "_operations"))]
        self.assertGreaterEqual(len(names), 14)
        self.assertEqual([n for n in names if not getattr(TypeScriptKernelTests, n)], [])
        suites = {n for n in dir(jkt) if isinstance(getattr(jkt, n), type) and issubclass(getattr(jkt, n), unittest.TestCase) and n != "TestCase"}
        self.assertEqual(suites, {"KernelTests", "IopubWelcomeTests"})


class TypeScriptIopubWelcomeTests(jkt.IopubWelcomeTests):
    kernel_name = "moe-lab"
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
