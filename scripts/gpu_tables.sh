#!/usr/bin/env bash
# Every table and figure that needs a GPU, by one command. It stops at the first error; the same
# command resumes where it was.
#
#   scripts/gpu_tables.sh CIFAR10_FOLDER [OUT]
#
# CIFAR10_FOLDER holds the standard files of CIFAR-10 (`sosmooth download cifar10 --out FOLDER`).
# OUT receives weights, runs, figures and the table of the engine; default: gpu_tables.
# SOSMOOTH=…, PYTHON=… and DEVICE=… name other programs and another device.
#
# Expected on one H100, estimated from the operations of the networks and not measured: training
# 4 × 1 h, the figures 6 h, our methods 4 h, 7×7 MNIST at n = 10^8 2 h, the engine 15 min.
set -euo pipefail
data=${1:?usage: scripts/gpu_tables.sh CIFAR10_FOLDER [OUT]}
out=${2:-gpu_tables}
device=${DEVICE:-cuda}
sosmooth=${SOSMOOTH:-sosmooth}
python=${PYTHON:-python}
mkdir -p "$out"

echo "== The engine against the bare loop"
if [ ! -e "$out/engine.txt" ]; then
  $python -m benchmarks engine --device "$device" > "$out/engine.part"
  mv "$out/engine.part" "$out/engine.txt"
fi
cat "$out/engine.txt"

echo "== ResNet-110, trained with noise"
for sigma in 0.12 0.25 0.50 1.00; do
  weights="$out/resnet110_$sigma.safetensors"
  [ -e "$weights" ] || $sosmooth train cifar10 --data "$data" --sigma "$sigma" \
    --architecture resnet110 --device "$device" --amp --resume --out "$weights"
done

echo "== The paper's figures, 500 images, n = 10^5"
for figure in fig6 fig12 fig15; do
  $sosmooth reproduce "$figure" --scale paper --data "cifar10:$data" --device "$device" \
    --weights "$out/resnet110_{sigma}.safetensors" --out "$out/paper"
done

echo "== Our methods, 500 images, n = 10^5"
for sigma in 0.25 0.50 1.00; do
  run="$out/ours_$sigma"
  $sosmooth certify --model "$out/resnet110_$sigma.safetensors" --data "cifar10:$data" \
    --sigma "$sigma" --skip 20 --device "$device" --out "$run"
  for method in first_order second_order dipole; do
    $sosmooth certify --model "$out/resnet110_$sigma.safetensors" --data "cifar10:$data" \
      --sigma "$sigma" --skip 20 --method "$method" --device "$device" --out "${run}_$method"
  done
  $sosmooth report "${run}_first_order" "${run}_second_order" "${run}_dipole" "$run" \
    --out "$out/ours_$sigma.html"
done

echo "== 7x7 MNIST at n = 10^8"
$sosmooth certify --model mnist7 --data mnist7 --sigma 0.25 --skip 500 --n 1e8 \
  --device "$device" --out "$out/mnist7_1e8"
$sosmooth report "$out/mnist7_1e8" --out "$out/mnist7_1e8.html"
