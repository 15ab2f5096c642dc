"""The paper's experiments: a table of its figures (`paper.FIGURES`), their runs and drawings.

"The paper" is A. Levine, A. Kumar, T. Goldstein, S. Feizi, "Tight Second-Order Certificates for
Randomized Smoothing", 2020 (arXiv:2010.10549). Its numbers are set beside those found here, with
everything that differs between the experiments.
"""
