"""COSMOS 1050K: the dataset, from the owners' raw files to Parquet shards that `datasets.load_dataset` reads.

Importing the package costs nothing: every module is imported where it is used.
"""
