"""Training base classifiers with noise, resumably."""
