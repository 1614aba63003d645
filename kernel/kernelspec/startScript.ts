/** What starts a kernel: program, its flags, the kernel's main file and the options before the connection file. */
export interface KernelCommandParts { readonly node: string; readonly flags: readonly string[]; readonly main: string; readonly options: readonly string[] }

/** A POSIX shell script that starts the kernel. It is there for what happens after the install: Node.js is updated and
 *  its old path goes, then the `node` on the PATH serves; the package goes, then the message says so.
 *  `exec` leaves the kernel under the process id that Jupyter knows. */
export function startScript({ node, flags, main, options }: KernelCommandParts): string {
  return `#!/bin/sh
# Starts the notebook kernel of moe-lab. Written by: npx moe-lab kernel install
node=${quoted(node)}
main=${quoted(main)}
complain() {
  echo "The kernel of moe-lab can't start: $1" >&2
  echo "Fix: $2, then run once more: npx moe-lab kernel install" >&2
  exit 127
}
[ -f "$main" ] || complain "the package is no longer at $main" "install moe-lab again"
if [ ! -x "$node" ]; then
  found=$(command -v node) || complain "Node.js is no longer at $node, and there is no node on the PATH" "install Node.js"
  node=$found
fi
exec "$node" ${[...flags.map(quoted), "\"$main\"", ...options.map(quoted)].join(" ")} "$@"
`;
}

/** One word of a POSIX shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
