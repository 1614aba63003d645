"""Drives Jupyter kernels through jupyter_client and prints what it measured, a JSON object a line: {kernel, case, unit, value},
value null where the kernel gave no answer in time or lost output ("why" says which). Every kernel gets the same requests from
this one client; kernels take turns, each round in another order, and each round starts every kernel anew.

Argument: {"rounds": 5, "kernels": [{"name", "argv", "env", "cwd", "language": "typescript" | "python", "interruptMode", "libraryCwd"}]}
libraryCwd, where there is one, is a folder in which @tensorflow/tfjs-core and moe-lab are found.
Source of the messages: jupyter-client.readthedocs.io/en/stable/messaging.html"""
import json
import os
import sys
import threading
import time
from pathlib import Path

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

# A kernel that takes longer counts as not answering, in seconds.
START_PATIENCE = 30
CELL_PATIENCE = 10
INTERRUPT_PATIENCE = 3
# A person's pause between two cells, short, in seconds.
PAUSE = 0.02
# The time between a cell and what is written next, in seconds.
THOUGHT = 0.5
TRIVIAL_CELLS = 20
COMPLETIONS = 10
INTERRUPTS = 3
# Cells of the large notebook.
LARGE_CELLS = 30
# A cell that loads libraries counts as not answering after so long, in seconds.
LIBRARY_PATIENCE = 60
# What is completed in a large notebook: members of two libraries, a name of the notebook or of the language.
LIBRARY_NAMES = {"members of tf": "tf.", "members of lab": "lab.", "a global name": "tot", "all global names": ""}
# How long a cell is busy while heartbeats are asked for, and the pause between two, in seconds.
BUSY = 0.5
HEARTBEAT_PAUSE = 0.02
# How often something is done beside a running cell, in seconds.
ACT_PAUSE = 0.02

CODE = {
    "typescript": {
        "lines": "for (let i = 0; i < {count}; i++) console.log(`line ${{i}}`)",
        "long": "console.log('x'.repeat({count}))",
        "error": "throw new Error('wrong {i}')",
        "busy": "{{ const end = Date.now() + {seconds} * 1000; while (Date.now() < end); }}",
        "loop": "while (true) {}",
        "loop after await": "await new Promise((r) => setTimeout(r, 1)); while (true) {}",
        "wait": "await new Promise(() => {})",
        "complete": "Math.hyp",
    },
    "python": {
        "lines": "for i in range({count}): print('line', i)",
        "long": "print('x' * {count})",
        "error": "raise ValueError('wrong {i}')",
        "busy": "import time\nend = time.time() + {seconds}\nwhile time.time() < end: pass",
        "loop": "while True: pass",
        "loop after await": "import asyncio\nawait asyncio.sleep(0.001)\nwhile True: pass",
        "wait": "import asyncio\nawait asyncio.Event().wait()",
        "complete": "''.isalnu",
    },
}

# Steps of about 30 ms, of which the most is native code.
TRAIN_SETUP = """const config = lab.transformerConfig({ vocabSize: 512, numLayers: 4, width: 128, numHeads: 4, contextLength: 128,
  moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 256 } });
const random = new lab.RandomSource(1);
const ids = Int32Array.from({ length: 100_000 }, () => random.nextInt(512));
"""
TRAIN = """const model = new lab.Transformer(config);
await lab.train(model, { train: ids, validation: ids.subarray(0, 256) }, { steps: 100_000, batchSize: 8, contextLength: 128 });
"""


def large_notebook():
    """The cells of a notebook that imports two large libraries and declares types, values, functions and classes."""
    yield 'import * as tf from "@tensorflow/tfjs-core";\nimport * as lab from "moe-lab";\nconst base = tf.tensor2d([[1, 2], [3, 4]]);'
    for i in range(1, LARGE_CELLS):
        yield (
            f"interface Row{i} {{ name: string; value: number }}\nconst rows{i}: Row{i}[] = [{{ name: 'a', value: {i} }}];",
            f"const x{i} = tf.add(base, {i});\nconst y{i} = tf.matMul(x{i} as tf.Tensor2D, base);",
            f"function scale{i}(t: tf.Tensor2D, by = {i}): tf.Tensor2D {{ return tf.mul(t, by); }}\nconst z{i} = scale{i}(base);",
            f"const list{i} = Array.from({{ length: {i} }}, (_, k) => k * {i});\nlet total{i} = list{i}.reduce((a, b) => a + b, 0);",
            f"class Model{i} {{ weights = new Float32Array({i}); apply(v: number): number {{ return v * this.weights.length; }} }}\nconst model{i} = new Model{i}();",
        )[i % 5]


class NoAnswer(Exception):
    """A kernel did not answer in time, or not with what was asked for."""


class Kernel:
    """One running kernel process and its sockets."""

    def __init__(self, description):
        self.description = description
        self.code = CODE[description["language"]]
        self.manager = KernelManager(kernel_name=description["name"])
        self.manager._kernel_spec = KernelSpec(
            argv=description["argv"], language=description["language"], interrupt_mode=description["interruptMode"])
        started = time.perf_counter()
        self.manager.start_kernel(env={**os.environ, **description["env"]}, cwd=description["cwd"])
        self.client = self.manager.client()
        self.client.start_channels(hb=False)
        self.shell, self.iopub = self.client.shell_channel.socket, self.client.iopub_channel.socket
        self.poller = zmq.Poller()
        self.poller.register(self.shell, zmq.POLLIN)
        self.poller.register(self.iopub, zmq.POLLIN)
        try:
            self.wait_until_connected(started + START_PATIENCE)
            cell = self.execute("1 + 1")
            self.first_result = cell["first"] - started
            if "2" not in cell["result"] + cell["text"] or cell["status"] != "ok":
                raise NoAnswer(f"1 + 1 gave {cell['status']}: {(cell['result'] + cell['text'])[:300]}")
        except NoAnswer:
            self.end()
            raise

    def wait_until_connected(self, deadline):
        """Asks for the kernel's information until both its reply and something on iopub have come, as front ends do."""
        has_reply = has_published = False
        while not (has_reply and has_published):
            if time.perf_counter() > deadline:
                raise NoAnswer("did not start")
            self.client.kernel_info()
            asked = time.perf_counter()
            while time.perf_counter() < asked + 0.1 and not (has_reply and has_published):
                for channel, _ in self.receive(asked + 0.1):
                    has_reply, has_published = has_reply or channel == "shell", has_published or channel == "iopub"
        # Answers to what was asked more than once.
        while self.receive(time.perf_counter() + 0.01):
            pass

    def receive(self, deadline):
        """The messages that are there, or the next one before the deadline."""
        ready = dict(self.poller.poll(max(0, (deadline - time.perf_counter()) * 1000)))
        found = []
        for channel, socket in (("iopub", self.iopub), ("shell", self.shell)):
            if socket in ready:
                _, message = self.client.session.recv(socket)
                if message is not None:
                    found.append((channel, message))
        return found

    def execute(self, code, patience=CELL_PATIENCE, length=0, act=lambda: None):
        """Runs a cell until it has replied, is idle and has written `length` characters.
        `act` is called again and again meanwhile. Times are of time.perf_counter."""
        started = time.perf_counter()
        identity = self.client.execute(code)
        reply, first, is_idle, texts, received, result = None, None, False, [], 0, ""
        while reply is None or not is_idle or received < length:
            act()
            now = time.perf_counter()
            if now > started + patience:
                if reply is not None and is_idle:
                    raise NoAnswer(f"{length - received} of {length} characters of output lost")
                raise NoAnswer(f"no answer within {patience} s")
            for channel, message in self.receive(min(started + patience, now + ACT_PAUSE)):
                if message["parent_header"].get("msg_id") != identity:
                    continue
                kind, content = message["msg_type"], message["content"]
                if channel == "shell":
                    reply = content
                elif kind == "status":
                    is_idle = content["execution_state"] == "idle"
                elif kind != "execute_input":
                    first = first or time.perf_counter()
                    if kind == "stream":
                        texts.append(content["text"])
                        received += len(content["text"])
                    elif kind == "execute_result":
                        result = str(content["data"].get("text/plain"))
        ended = time.perf_counter()
        return {"seconds": ended - started, "first": first or ended, "ended": ended, "status": reply["status"], "text": "".join(texts), "result": result}

    def complete(self, code=None):
        code = self.code["complete"] if code is None else code
        started = time.perf_counter()
        identity = self.client.complete(code, len(code))
        while time.perf_counter() < started + CELL_PATIENCE:
            for channel, message in self.receive(started + CELL_PATIENCE):
                if channel == "shell" and message["parent_header"].get("msg_id") == identity:
                    if not message["content"].get("matches"):
                        raise NoAnswer("no completions")
                    return time.perf_counter() - started
        raise NoAnswer("no complete_reply")

    def heartbeats(self):
        """Round trips of heartbeats while a cell is busy, in seconds."""
        trips, is_over = [], threading.Event()

        def beat():
            socket = zmq.Context.instance().socket(zmq.DEALER)
            socket.linger = 0
            socket.connect(f"tcp://127.0.0.1:{self.manager.hb_port}")
            while not is_over.is_set():
                asked = time.perf_counter()
                socket.send_multipart([b"", b"ping"])
                if not socket.poll(CELL_PATIENCE * 1000):
                    break
                socket.recv_multipart()
                trips.append(time.perf_counter() - asked)
                time.sleep(HEARTBEAT_PAUSE)
            socket.close()

        heart = threading.Thread(target=beat)
        # The cell is busy before the first beat, which also connects.
        self.execute(self.code["busy"].format(seconds=BUSY), act=lambda: heart.ident or heart.start())
        is_over.set()
        heart.join()
        return trips[1:]

    def run_all(self, cells):
        """Runs cells that must not fail."""
        for code in cells:
            cell = self.execute(code, patience=LIBRARY_PATIENCE)
            if cell["status"] != "ok":
                raise NoAnswer(f"{code[:80]!r} gave {cell['status']}")

    def interrupt(self, code, delay=0.3, may_end_well=False):
        """Seconds from the interrupt of a cell, `delay` seconds after its start, until the kernel is idle again.
        A training ends its step and then well."""
        started = time.perf_counter()
        asked = None

        def stop():
            nonlocal asked
            if asked is None and time.perf_counter() > started + delay:
                asked = time.perf_counter()
                self.manager.interrupt_kernel()

        cell = self.execute(code, patience=delay + INTERRUPT_PATIENCE, act=stop)
        if asked is None or (cell["status"] == "ok" and not may_end_well):
            raise NoAnswer("the cell ended by itself")
        return cell["ended"] - asked

    def memory(self):
        """Resident memory of the kernel's processes in MB; None where the system does not tell."""
        if not Path("/proc/self/status").exists():
            return None
        children = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                children.setdefault(int(status.read_text().rpartition(")")[2].split()[1]), []).append(int(status.parent.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
        family, total = [self.manager.provisioner.pid], 0
        for pid in family:
            family.extend(children.get(pid, []))
            resident = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
            total += int(resident.split()[1]) * 1024
        return total / 1e6

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def lines(count):
    return "".join(f"line {i}\n" for i in range(count))


def print_figure(name, case, unit, value, why=None):
    print(json.dumps({"kernel": name, "case": case, "unit": unit, "value": value, **({} if why is None else {"why": why})}), flush=True)


def measure_output(kernel, code, expected):
    cell = kernel.execute(code, length=len(expected))
    if cell["text"] != expected:
        raise NoAnswer("output in another order or with other text")
    return cell["seconds"]


def measure(description):
    """One round of one kernel. What ends in an interrupt comes last, since not every kernel lives on after it."""
    name = description["name"]
    state = {}

    def restart():
        if "kernel" in state:
            state.pop("kernel").end()
        state["kernel"] = Kernel(description)
        return state["kernel"]

    def figures(case, unit, work):
        try:
            values = work()
        except NoAnswer as why:
            print_figure(name, case, unit, None, str(why))
            restart()
            return
        for value in values if isinstance(values, list) else [values]:
            if value is not None:
                print_figure(name, case, unit, value)

    kernel = restart()
    print_figure(name, "start to first result", "s", kernel.first_result)
    time.sleep(0.5)
    figures("memory after the first cell", "MB", lambda: state["kernel"].memory())

    def paused(work):
        time.sleep(PAUSE)
        return work()

    def trivial(code):
        # Each another text, so that nothing of the one before can be taken again.
        return [paused(lambda: state["kernel"].execute(code.format(i=i))["seconds"] * 1000) for i in range(TRIVIAL_CELLS)]

    code = kernel.code
    figures("trivial cell", "ms", lambda: trivial("1 + {i}"))
    figures("cell that throws", "ms", lambda: trivial(code["error"])[:TRIVIAL_CELLS // 2])
    for count in (20_000, 100_000):
        figures(f"{count:,} lines", "s", lambda: measure_output(state["kernel"], code["lines"].format(count=count), lines(count)))
    figures("one line of 10 MB", "s", lambda: measure_output(state["kernel"], code["long"].format(count=10_000_000), "x" * 10_000_000 + "\n"))
    figures("first completion", "ms", lambda: state["kernel"].complete() * 1000)
    figures("completion", "ms", lambda: [paused(lambda: state["kernel"].complete() * 1000) for _ in range(COMPLETIONS)])

    def beats():
        trips = state["kernel"].heartbeats()
        if not trips:
            raise NoAnswer("no heartbeat")
        print_figure(name, "slowest heartbeat while a cell is busy", "ms", max(trips) * 1000)
        return [trip * 1000 for trip in trips]

    figures("heartbeat while a cell is busy", "ms", beats)
    figures("memory after these cells", "MB", lambda: state["kernel"].memory())
    for what in ("loop", "loop after await", "wait"):
        figures(f"interrupt: {what}", "ms", lambda: [state["kernel"].interrupt(code[what]) * 1000 for _ in range(INTERRUPTS)])
    state["kernel"].end()
    if "libraryCwd" in description:
        measure_libraries(description)


def measure_libraries(description):
    """Completion and trivial cells in a large notebook, and the interrupt of a training."""
    name = description["name"]
    kernel = Kernel({**description, "cwd": description["libraryCwd"]})
    try:
        kernel.run_all(large_notebook())
        kernel.complete("tf.")
        for i in range(TRIVIAL_CELLS):
            time.sleep(PAUSE)
            print_figure(name, f"trivial cell after {LARGE_CELLS}", "ms", kernel.execute(f"1 + {i}")["seconds"] * 1000)
        for i in range(INTERRUPTS):
            kernel.run_all([f"const last{i} = {i}"])
            time.sleep(THOUGHT)
            print_figure(name, f"completion after {LARGE_CELLS} cells: the first after a declaration", "ms", kernel.complete("tf.") * 1000)
        for what, text in LIBRARY_NAMES.items():
            for i in range(COMPLETIONS):
                time.sleep(PAUSE)
                # Each in another text, as when a person writes.
                print_figure(name, f"completion after {LARGE_CELLS} cells: {what}", "ms", kernel.complete(f"const v{i} = {i};\n{text}") * 1000)
        kernel.run_all([TRAIN_SETUP])
        for i in range(INTERRUPTS):
            # At another point of a step each time.
            print_figure(name, "interrupt: training", "ms", kernel.interrupt(TRAIN, delay=0.5 + i * 0.011, may_end_well=True) * 1000)
    except NoAnswer as why:
        print_figure(name, f"large notebook of {LARGE_CELLS} cells", "ms", None, str(why))
    kernel.end()


def main():
    task = json.loads(sys.argv[1])
    kernels = task["kernels"]
    for turn in range(task["rounds"]):
        for i in range(len(kernels)):
            description = kernels[(turn + i) % len(kernels)]
            try:
                measure(description)
            except NoAnswer as why:
                print_figure(description["name"], "start to first result", "s", None, str(why))


if __name__ == "__main__":
    main()
