# A log that the certify.py of Cohen, Rosenfeld and Kolter wrote.
sosmooth import-log certify_sigma_0.25.txt --method first_order --sigma 0.25 --n 1e5 --alpha 1e-3 --out cohen
sosmooth report cohen --out report.html
sosmooth export cohen --out again.tsv
