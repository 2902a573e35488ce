"""Files of rows, Parquet, Arrow or CSV, read batch by batch: no more of them is in memory than a few batches."""
