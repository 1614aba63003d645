#!/usr/bin/env bash
# Builds, tests and measures the addon on a machine with a GPU, in the folder that pack.mjs made; a short table comes last.
#   ./run.sh [--emulated] [RESULTS]    RESULTS: folder for logs, default ./results
# --emulated is a trial without a GPU: kernels run on the CPU, sizes are small.
set -uo pipefail
cd "$(dirname "$0")"
emulated=""; [ "${1:-}" = --emulated ] && { emulated=1; shift; }
results="${1:-$PWD/results}"; mkdir -p "$results"
[ -x ./node ] || { xz -dkc node.xz > node.tmp && chmod +x node.tmp && mv node.tmp node; } || { echo "node.xz can't be unpacked"; exit 1; }
node="$PWD/node"

# name, log, command …: runs it, notes how it went
steps=(); status=0
step() {
  local name="$1" log="$results/$2" started=$SECONDS; shift 2
  "$@" > "$log" 2>&1; local code=$?
  steps+=("$(printf '%-34s %-7s %4d s  %s' "$name" "$([ $code = 0 ] && echo passed || echo FAILED)" $((SECONDS - started)) "$(grep -a . "$log" | tail -1 | cut -c1-100)")")
  echo "${steps[-1]}"
  [ $code = 0 ] || { status=1; tail -n 25 "$log"; }
}

if [ -n "$emulated" ]; then
  build=(--cuda-emulated); export MOE_LAB_CUDA_ADDON="$PWD/build/native-emulated/moe_lab_cuda.node"
else
  # Only this GPU's code, which takes a fraction of the time; Hopper's own instructions are in 90a.
  capability="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)" || { echo "no nvidia-smi"; exit 1; }
  [ "$capability" = 90 ] && capability=90a
  build=(--cuda --architecture "$capability"); export MOE_LAB_CUDA_ADDON="$PWD/build/native/moe_lab_cuda.node"
  nvidia-smi > "$results/nvidia-smi.txt"
fi
step "build for the CPU" build-cpu.log "$node" toolkit/native/build.mjs
step "build for the GPU" build-gpu.log "$node" toolkit/native/build.mjs "${build[@]}"
[ -e "$MOE_LAB_CUDA_ADDON" ] || { echo "the addon could not be built"; exit 1; }
export MOE_LAB_ADDON="$PWD/build/native/moe_lab.node"
step "memory, copies, errors" runtime.log "$node" tests/native/runtime.mjs
MOE_LAB_CUDA_ROUNDS="${ROUNDS:-$([ -n "$emulated" ] && echo 2 || echo 20)}" step "kernels against the CPU's" kernels.log "$node" tests/native/kernels.mjs
if command -v compute-sanitizer >/dev/null && [ -z "$emulated" ]; then
  for tool in memcheck racecheck; do
    MOE_LAB_CUDA_ROUNDS=2 step "compute-sanitizer $tool" "$tool.log" compute-sanitizer --tool "$tool" --error-exitcode 1 "$node" tests/native/kernels.mjs
  done
else
  steps+=("compute-sanitizer: SKIPPED, it isn't here")
fi
step "times of kernels" bench.jsonl "$node" tests/native/bench.mjs ${emulated:+small}
if [ -z "$emulated" ] && python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then step "times of PyTorch" torch.jsonl python3 kernelsTorch.py
else steps+=("PyTorch: SKIPPED, it isn't here with CUDA"); fi

echo; "$node" summary.mjs "$results"
echo; printf '%s\n' "${steps[@]}"
exit $status
