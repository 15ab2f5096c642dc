"""Attacks that try to break certificates.

`floating_point.py` plants a classifier that reads the rounding of the noise; `smoothed_pgd.py`
follows the gradient of the smoothed classifier; `extremal.py` goes just beyond the radius where the
certificate is tight. An attack judges points by fresh samples, and with a failure probability that
is separate from the certificate's.
"""
