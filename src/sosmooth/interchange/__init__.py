"""Exchange with other programs: their logs read and written, their classifiers wrapped."""
