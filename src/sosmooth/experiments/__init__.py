"""The paper's experiments: one table of its figures (`paper.FIGURES`), what runs them, what draws them.

"The paper" is A. Levine, A. Kumar, T. Goldstein, S. Feizi, "Tight Second-Order Certificates for Randomized Smoothing", 2020
(arXiv:2010.10549). What it published is set beside what is found here, with all that differs.
"""
