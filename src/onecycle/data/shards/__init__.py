"""Items that lie many to a file: WebDataset tars, Parquet files, and Hugging Face iterable datasets."""
