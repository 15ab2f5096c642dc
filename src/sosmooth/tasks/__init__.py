"""What is done with a classifier, inputs and a stored run: certify, certify again, check, attack.

Here sampling meets storage. `runs/` only stores, and `smoothed.py` only samples and certifies.
"""
