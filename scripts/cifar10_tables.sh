#!/usr/bin/env bash
# The tables of docs/results/cifar10.md: the bundled ResNet-20 on CIFAR-10, every method from the
# same samples. It stops at the first error; the same command resumes where it was.
#
#   scripts/cifar10_tables.sh CIFAR10_FOLDER [OUT]
#
# CIFAR10_FOLDER holds the standard files of CIFAR-10 (`sosmooth download cifar10 --out FOLDER`).
# OUT receives the runs; default: cifar10_tables. SOSMOOTH=… and PYTHON=… name other programs.
#
# At each noise level 100 images take about 20 minutes of one processor core at n = 10^4, and 20
# images about 45 at n = 10^5.
set -euo pipefail
data=${1:?usage: scripts/cifar10_tables.sh CIFAR10_FOLDER [OUT]}
out=${2:-cifar10_tables}
sosmooth=${SOSMOOTH:-sosmooth}
python=${PYTHON:-python}
mkdir -p "$out"

# Draws n samples of every k-th image, then certifies the same samples by each method.
table() { # SIGMA N K
  run="$out/sigma_$1_n_$2"
  $sosmooth certify --model cifar10 --data "cifar10:$data" --sigma "$1" --n "$2" --skip "$3" \
    --channels-last --out "$run" > /dev/null
  for method in first_order dipole dipole_joint second_order_pairs second_order_dipole; do
    $sosmooth recertify "$run" --method $method --out "${run}_$method" > /dev/null
  done
  for norm in l1 linf color; do
    $sosmooth recertify "$run" --method second_order_dipole --norm $norm \
      --out "${run}_$norm" > /dev/null
  done
  echo
  echo "sigma $1, n = $2, every ${3}th image; each method against one half and each other class"
  $python -m benchmarks.classes --at 0,0.25,0.5,0.75,1 "$run"_{first_order,dipole,dipole_joint} \
    "$run"_second_order_{pairs,dipole} "$run"
}

for sigma in 0.25 0.5 1; do table $sigma 10000 100; done
for sigma in 0.25 0.5 1; do table $sigma 100000 500; done
