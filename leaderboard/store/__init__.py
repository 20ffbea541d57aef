"""The board as one DuckDB file: built from score files, published beside the old one, read by all else."""
