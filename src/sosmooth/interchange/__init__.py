"""Other programs' certificates: their logs in and out, their certified classifiers wrapped."""
