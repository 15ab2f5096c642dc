"""Work that needs a classifier, inputs and a stored run: certify, certify again, check, attack.

`runs/` only stores, and `smoothed.py` only samples and certifies; this package combines them.
"""
