# A PyTorch model in net.py, its weights, and a folder of images by class.
sosmooth certify --model net.pt --data photos --sigma 0.25 --n 1e3 --out run  # refused: FILE.py:factory+net.pt
sosmooth certify --model net.py:Net+net.pt --data photos --sigma 0.25 --n 1e3 --out run
sosmooth report run --out report.html
sosmooth plan run --n 1e5
sosmooth predict --model net.py:Net+net.pt --data photos --sigma 0.25 --n 100
