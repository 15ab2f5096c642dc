# A text classifier of Hugging Face, and a table of texts with names of classes.
sosmooth certify --model hf:bert --data reviews.csv --sigma 0.01 --n 1e3 --out run  # refused: text:reviews.csv?model=FOLDER&text=review
sosmooth certify --model hf:bert --data 'text:reviews.csv?model=bert&text=review&label=opinion' --sigma 0.01 --n 1e3 --out run
sosmooth report run --out report.html
