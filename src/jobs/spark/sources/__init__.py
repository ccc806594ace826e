"""What Spark's readers of files would pass over in silence.

`listing` says which files of a folder are not read. `csv_bytes` has CSV read byte for byte, so that bytes that are not
UTF-8 are refused and not replaced, `csv_headers` has the header of each file compared, and `csv_escapes` says whether a
backslash escapes quotes. `grouped_numbers` finds decimals whose comma Spark would leave out. `json_values` finds lines
of JSON of which the first value alone would be read, and `parquet_footers` says which Parquet file has columns that
Spark cannot read, or dates of an unknown calendar. `nanoseconds` makes timestamps of pandas' numbers.
"""
