# An ONNX file from a colleague, and arrays.
sosmooth doctor --model net.onnx --data images.npz --sigma 0.25
sosmooth certify --model net.onnx --data images.npz --sigma 0.25 --n 1e3 --out run
sosmooth recertify run --method first_order --out first_order
sosmooth compare first_order run
sosmooth report first_order run --out report.html
