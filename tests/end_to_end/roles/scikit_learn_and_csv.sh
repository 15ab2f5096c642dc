# A classifier of scikit-learn, and a table with a column of names of classes.
sosmooth certify --model flowers.skops --data flowers.csv --sigma 0.5 --n 1e3 --out run  # refused: flowers.csv?label=species
sosmooth certify --model flowers.skops --data 'flowers.csv?label=species' --sigma 0.5 --n 1e3 --max 6 --out run
sosmooth report run --out report.html
